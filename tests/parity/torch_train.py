"""Trains a transformers model in float64 the way a recipe says: what our engine is compared with.

A batch is a list of rows, a row a list of documents, a document {"ids": [...], "labels": [...]}: labels[t] is the id
that position t predicts, -1 where it predicts nothing. Attention ends at a document's edge.
A recipe names what differs from RECIPE.
"""
import torch
from transformers import get_scheduler

RECIPE = {"optimizer": "adamw", "lr": 1e-3, "schedule": "constant", "warmup_steps": 0, "clip_norm": 1.0,
          "weight_decay": 0.0, "momentum": 0.0, "decay_all": False, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}


def mean_loss(model, batch):
    """Mean over all predicted positions of the whole batch."""
    total, count = 0.0, 0
    for document in (d for row in batch for d in row):
        logits = model(input_ids=torch.tensor([document["ids"]])).logits[0]
        target = torch.tensor([y if y >= 0 else -100 for y in document["labels"]])
        total = total + torch.nn.functional.cross_entropy(logits, target, ignore_index=-100, reduction="sum")
        count += sum(y >= 0 for y in document["labels"])
    return total / count


def make_optimizer(model, recipe):
    """Decays matrices only, unless the recipe says all."""
    decayed = [p for p in model.parameters() if p.dim() >= 2 or recipe["decay_all"]]
    others = [p for p in model.parameters() if p.dim() < 2 and not recipe["decay_all"]]
    groups = [{"params": decayed, "weight_decay": recipe["weight_decay"]}]
    if others:
        groups.append({"params": others, "weight_decay": 0.0})
    if recipe["optimizer"] == "sgd":
        return torch.optim.SGD(groups, lr=recipe["lr"], momentum=recipe["momentum"])
    return torch.optim.AdamW(groups, lr=recipe["lr"], betas=(recipe["beta1"], recipe["beta2"]), eps=recipe["eps"])


def train(model, batches, recipe=None):
    """One optimizer step a batch on `model`, which becomes float64 and is changed in place.

    Returns (losses, gradients of the first step before clipping, weights at the end), tensors by name. Tied weights
    appear once, under the embedding's name.
    """
    recipe = {**RECIPE, **(recipe or {})}
    model.double().train()
    optimizer = make_optimizer(model, recipe)
    name = "constant_with_warmup" if recipe["schedule"] == "constant" else recipe["schedule"]
    scheduler = get_scheduler(name, optimizer, recipe["warmup_steps"], len(batches))
    losses, first = [], None
    for batch in batches:
        optimizer.zero_grad()
        loss = mean_loss(model, batch)
        loss.backward()
        if first is None:
            first = {n: p.grad.clone() for n, p in model.named_parameters()}
        if recipe["clip_norm"] > 0:
            torch.nn.utils.clip_grad_norm_(model.parameters(), recipe["clip_norm"])
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return losses, first, {n: p.detach().clone() for n, p in model.named_parameters()}


def document(ids, masked=0):
    """A document whose first `masked` ids are a prompt: positions that predict one of them do not count."""
    return {"ids": ids, "labels": [ids[i + 1] if masked <= i + 1 < len(ids) else -1 for i in range(len(ids))]}
