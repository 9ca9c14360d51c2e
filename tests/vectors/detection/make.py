"""Writes detection.json: P(at least one bad cell is sampled), by exact fractions; run it in this folder."""
import json
from fractions import Fraction
from math import comb


def detection(total, bad, sampled):
    return 1 - Fraction(comb(total - bad, sampled), comb(total, sampled))


def sample_size(total, bad, confidence):
    # Decimal confidences, exactly as written.
    return next((k for k in range(total + 1) if detection(total, bad, k) >= confidence), total)


def main():
    out = {"detection": [], "sample_size": []}
    sizes = [1, 2, 3, 10, 48, 120, 999, 5000]
    for total in sizes:
        for bad in sorted({0, 1, 2, total // 20, total // 2, total - 1, total} & set(range(total + 1))):
            for sampled in sorted({0, 1, 2, 12, total // 3, total - 1, total} & set(range(total + 1))):
                p = detection(total, bad, sampled)
                out["detection"].append([total, bad, sampled, float(p)])
    for total in [1, 10, 120, 999]:
        for bad in sorted({1, 2, total // 20, total // 2} & set(range(1, total + 1))):
            for confidence in ["0.5", "0.9", "0.95", "0.99", "0.999"]:
                k = sample_size(total, bad, Fraction(confidence))
                out["sample_size"].append([total, bad, float(confidence), k])
    with open("detection.json", "w") as file:
        for key in ("detection", "sample_size"):
            rows = ",\n".join(json.dumps(row) for row in out[key])
            file.write(("{" if key == "detection" else ",") + f'"{key}": [\n{rows}\n]')
        file.write("}\n")


if __name__ == "__main__":
    main()
