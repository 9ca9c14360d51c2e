"""Writes planner.json: what plans are worth against each attacker, and the plans that find them, by scipy's
hypergeometric distribution. Follows docs/audit.odds.md. Needs scipy; run it in this folder.
"""
import json
from fractions import Fraction

from scipy.stats import hypergeom


def ceil_div(a, b):
    return -(-a // b)


class Grid:
    def __init__(self, layers, tied, layers_per_block, steps, steps_per_block):
        self.json = dict(layers=layers, tied=tied, layers_per_block=layers_per_block, steps=steps,
                         steps_per_block=steps_per_block)
        self.layers, self.tied, self.per_block = layers, tied, layers_per_block
        self.steps, self.per_row = steps, steps_per_block
        self.blocks = ceil_div(layers, layers_per_block) + (1 if tied else 2)
        self.rows = ceil_div(steps, steps_per_block)
        self.cells = self.blocks * self.rows


def part(fraction, total):
    """The fraction is taken as the decimal it is written as."""
    return max(1, min(total, ceil_div(Fraction(str(fraction)) * total, 1)))


def damage(grid, attacker):
    """Bad cells among all, in the first column, in the last, and in each of the first and last row."""
    (kind, value), = attacker.items()
    if kind == "bad_cells":
        return min(value, grid.cells), 0, 0, 0
    if kind == "tampered":
        return part(value, grid.cells), 0, 0, 0
    if kind == "skipped_steps":
        rows = ceil_div(part(value, grid.steps), grid.per_row)
        return rows * grid.blocks, rows, rows, 0
    if kind == "poisoned_rows":
        rows = part(value, grid.rows)
        return rows, rows, rows if grid.tied else 0, 0
    if kind == "changed_layers":
        return ceil_div(min(value, grid.layers), grid.per_block) * grid.rows, 0, 0, 0
    return grid.cells, grid.rows, grid.rows, grid.blocks


def hit(total, bad, drawn):
    return 1 - hypergeom.pmf(0, total, bad, min(drawn, total))


def detection(grid, plan, bad):
    if plan["all"]:
        return 1.0
    miss = 1 - hit(grid.cells, bad[0], plan["uniform"])
    miss *= 1 - hit(grid.rows, bad[1], plan["inputs"])
    miss *= 1 - hit(grid.rows, bad[2], plan["objective"])
    miss *= (1 - hit(grid.blocks, bad[3], plan["ends"])) ** 2
    return float(1 - miss)


def plan(all=False, uniform=0, inputs=0, objective=0, ends=0):
    return dict(all=all, uniform=uniform, inputs=inputs, objective=objective, ends=ends)


def planned(grid, confidence, attacker):
    column = 1
    if "poisoned_rows" in attacker:
        bad = damage(grid, attacker)[1]
        column = next(n for n in range(grid.rows + 1) if hit(grid.rows, bad, n) >= confidence - 1e-12)
    for uniform in range(grid.cells + 1):
        candidate = plan(uniform=uniform, inputs=column, objective=column)
        if detection(grid, candidate, damage(grid, attacker)) >= confidence - 1e-12:
            return candidate


GRIDS = [
    Grid(1, True, 1, 1, 1),
    Grid(15, False, 1, 8, 1),       # 136 cells
    Grid(8, True, 2, 64, 8),        # 40 cells
    Grid(7, False, 3, 65, 8),       # short last block, short last row
    Grid(32, False, 1, 300, 10),
]
PLANS = [plan(uniform=1), plan(uniform=7), plan(uniform=14, inputs=1, objective=1), plan(inputs=2), plan(objective=3),
         plan(uniform=5, ends=1), plan(ends=2), plan(uniform=41, inputs=3, objective=2, ends=1), plan(all=True)]
ATTACKERS = [{"bad_cells": 1}, {"bad_cells": 4}, {"bad_cells": 16}, {"tampered": 0.05}, {"tampered": 0.07},
             {"skipped_steps": 0.125}, {"skipped_steps": 0.5}, {"poisoned_rows": 0.1}, {"poisoned_rows": 0.4},
             {"changed_layers": 1}, {"changed_layers": 4}, {"whole_run": True}]


def main():
    odds, plans = [], []
    for grid in GRIDS:
        last = grid.rows if grid.tied else 0
        for p in PLANS:
            for attacker in ATTACKERS:
                row = dict(grid=grid.json, plan=p, attacker=attacker,
                           detection=detection(grid, p, damage(grid, attacker)),
                           one_cell=detection(grid, p, (1, 0, 0, 0)),
                           one_column=detection(grid, p, (grid.rows, 0, 0, 0)),
                           inputs_column=detection(grid, p, (grid.rows, grid.rows, last, 0)),
                           objective_column=detection(grid, p, (grid.rows, last, grid.rows, 0)))
                odds.append(row)
        for attacker in ATTACKERS:
            for confidence in (0.5, 0.95, 0.99):
                plans.append(dict(grid=grid.json, attacker=attacker, confidence=confidence,
                                  plan=planned(grid, confidence, attacker)))
    with open("planner.json", "w") as file:
        for key, rows in (("odds", odds), ("plans", plans)):
            lines = ",\n".join(json.dumps(row, sort_keys=True) for row in rows)
            file.write(("{" if key == "odds" else ",") + f'"{key}": [\n{lines}\n]')
        file.write("}\n")


if __name__ == "__main__":
    main()
