"""A realistic run folder in the exact file formats: method and baseline on noisy labels, a few seeds each."""

import json
from pathlib import Path

import numpy as np
import yaml

EPOCHS = 30
RUN, BASELINE = "fashion_mnist-1a2b3c4d", "fashion_mnist-baseline-5e6f7a8b"
CONFIG = {
    "name": "fashion_mnist",
    "data": {"name": "fashion_mnist", "root": None, "train_examples": 6000, "test_examples": None, "val_fraction": 0.1},
    "noise": {"kind": "uniform", "rate": 0.4},
    "model": {"name": "resnet20", "depth": 20, "width": 16, "shortcut": "identity"},
    "methods": [{"name": "quantization", "weight_bits": 4, "activation_bits": 4, "first_last_bits": 8}],
    "train": {"epochs": EPOCHS, "batch_size": 128, "optimizer": "adam", "learning_rate": 0.001},
    "seeds": [1, 2, 3],
    "baseline": True,
    "convert": {"int8": True, "int4": True, "float32": True, "per_channel_dense": True, "io": "float32"},
    "verify": {"examples": None, "code_mismatch": 0.0, "decision_agreement": 0.999, "metric_delta": 0.1},
}
ENVIRONMENT = {
    "command": "python -m pipeline.run --config qat_configs/fashion_mnist.yaml",
    "python": "3.11.2",
    "packages": {"tensorflow": "2.21.0", "tf_keras": "2.21.0", "ai-edge-litert": "2.3.0", "keras-tuner": None},
    "platform": "Linux-6.1.0-x86_64-with-glibc2.36",
    "cpu": "An Imagined Processor",
    "cores": 2,
    "memory_bytes": 8_300_000_000,
    "commit": "0123456789abcdef0123456789abcdef01234567",
}
STATUS = {
    "format": 1,
    "state": "done",
    "stage": "report",
    "seeds_done": [1, 2, 3],
    "message": "",
    "started": "2025-03-01T10:00:00+00:00",
    "updated": "2025-03-01T10:06:31+00:00",
}


def write_json(path: Path, record: object) -> None:
    """Write one JSON file, its folder included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1))


def write_yaml(path: Path, record: dict) -> None:
    """Write one YAML file."""
    path.write_text(yaml.safe_dump(record, sort_keys=False))


def edit_json(path: Path, **changes: object) -> None:
    """Replace top-level keys of a JSON file."""
    write_json(path, {**json.loads(path.read_text()), **changes})


def write_sample_run(root: Path, seeds: tuple[int, ...] = (1, 2, 3), config: dict | None = None) -> Path:
    """Write the run and its baseline below `root`; returns the run's folder."""
    settings = {**CONFIG, "seeds": list(seeds), **(config or {})}
    quantized = write_run(root / RUN, settings, seeds, memorising=0.13)
    write_run(root / BASELINE, {**settings, "methods": [], "baseline": False}, seeds, memorising=0.62)
    write_json(quantized / "baseline.json", {"folder": f"../{BASELINE}"})
    for seed in seeds:
        write_json(quantized / f"seed{seed}" / "verification.json", verification(seed))
    return quantized


def write_run(folder: Path, config: dict, seeds: tuple[int, ...], memorising: float) -> Path:
    """One run folder without verification; `memorising` is the share of wrong labels learnt by the last epoch."""
    folder.mkdir(parents=True)
    for name in ("config.yaml", "resolved.yaml"):
        write_yaml(folder / name, config)
    write_json(folder / "environment.json", ENVIRONMENT)
    write_json(folder / "status.json", STATUS)
    for seed in seeds:
        write_seed(folder / f"seed{seed}", seed, memorising)
    return folder


def write_seed(folder: Path, seed: int, memorising: float, epochs: int = EPOCHS) -> None:
    """One seed folder: metrics.jsonl, scores.json, noise.npz."""
    lines = [epoch_record(epoch, seed, memorising) for epoch in range(1, epochs + 1)]
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    best = max(lines, key=lambda line: line["test_accuracy"])
    last = lines[-1]
    scores = {
        "task": "multiclass",
        "metrics": {"accuracy": last["test_accuracy"], "loss": last["test_loss"]},
        "epochs_run": epochs,
        "seed": seed,
        "fold": None,
        "selection": "last epoch",
        "epoch_selected": epochs,
        "oracle": {"test_accuracy": best["test_accuracy"], "epoch": best["epoch"]},
        "seconds": 62.5 + seed,
        **{key: last[key] for key in ("val_accuracy", "val_clean_accuracy", "train_noisy_fit", "train_clean_fit")},
    }
    write_json(folder / "scores.json", scores)
    noisy = np.random.default_rng(seed).random(6000) < 0.36
    np.savez(folder / "noise.npz", corrupted=noisy, train=np.arange(5400), validation=np.arange(5400, 6000))


def epoch_record(epoch: int, seed: int, memorising: float) -> dict:
    """One line of metrics.jsonl: first learning, then memorising."""
    jitter = np.random.default_rng([seed, epoch, int(1000 * memorising)]).normal(0, 0.006, 8)
    learnt, memorised = 1 - np.exp(-epoch / 2.5), memorising / (1 + np.exp(-(epoch - 16 - seed) / 3))
    clean_fit = 0.80 * learnt + 0.18 * memorised + jitter[0]
    test = 0.79 * learnt - 0.34 * memorised + jitter[1]
    test_loss = 0.65 + 1.3 * np.exp(-epoch / 2) + 3.1 * memorised**1.5 + 4 * abs(jitter[2])
    train_loss = 1.55 + 0.75 * np.exp(-epoch / 3) - 1.9 * memorised + jitter[3]
    val = 0.64 * test + 0.02 + jitter[4]
    evaluation = {
        "train_eval_loss": train_loss,
        "train_accuracy": 0.64 * clean_fit + 0.36 * memorised,
        "train_noisy_fit": max(0.0, 0.025 + memorised + 0.3 * jitter[5]),
        "train_clean_fit": clean_fit,
        "val_loss": 1.6 + memorised,
        "val_accuracy": val,
        "val_clean_accuracy": test + 0.01,
        "test_loss": test_loss,
        "test_accuracy": test,
    }
    stale = {"test_accuracy": test - 0.12 - 9 * abs(jitter[6]), "val_accuracy": val - 0.07 - abs(jitter[7])}
    rest = {"seconds": 2.1, "moving": {**evaluation, **stale}}
    return {"epoch": epoch, "learning_rate": 1e-3, "train_loss": train_loss + 0.09, **evaluation, **rest}


def layer_shapes() -> list[tuple[str, str, int, int]]:
    """(name, op, parameters, MACs) of a ResNet-20 of width 16 on 28x28 images."""
    layers, channels, size = [("conv0", "CONV_2D", 9 * 16 + 16, 9 * 16 * 784)], 16, 28
    for stage, width in enumerate((16, 32, 64), start=1):
        size = size if stage == 1 else size // 2
        for block in (1, 2, 3):
            first = 9 * channels * width
            second = 9 * width * width
            prefix, area = f"s{stage}b{block}", size * size
            layers.append((f"{prefix}_conv1", "CONV_2D", first + width, first * area))
            layers.append((f"{prefix}_conv2", "CONV_2D", second + width, second * area))
            layers.append((f"{prefix}_add", "ADD", 0, 0))
            channels = width
    return [*layers, ("pool", "MEAN", 0, 0), ("logits", "FULLY_CONNECTED", 650, 640)]


def layer_record(name: str, op: str, parameters: int, macs: int, seed: int) -> dict:
    """One entry of verification.json's layers."""
    weighted = parameters > 0
    bits = (8 if name in ("conv0", "logits") else 4) if weighted else None
    rng = np.random.default_rng([seed, parameters])
    top = 2 ** (bits - 1) - 1 if bits else 0
    codes = np.clip(np.rint(rng.normal(0, top / 2.6, parameters)), -top, top).astype(int)
    values, counts = np.unique(codes, return_counts=True)
    histogram = {str(value): int(count) for value, count in zip(values, counts, strict=True)}
    return {
        "name": name, "op": op, "weight_bits": bits, "activation_bits": 8 if name in ("conv0", "pool") else 4,
        "parameters": parameters, "macs": macs, "bytes_int8": parameters,
        "bytes_int4": parameters // 2 if bits == 4 else parameters, "bytes_float32": 4 * parameters,
        "activation_scale": float(rng.uniform(0.05, 0.4)),
        "weight_scale_min": 0.0123 if weighted else None, "weight_scale_max": 0.0871 if weighted else None,
        "code_mismatch": 0.0, "weight_codes": histogram if weighted else None,
    }  # fmt: skip


def verification(seed: int) -> dict:
    """One verification.json that passes."""
    layers = [layer_record(*shape, seed) for shape in layer_shapes()]
    exact = {"code_mismatch": 0.0, "max_code_difference": 0, "decision_agreement": 0.9997, "metric": 0.7432}
    other = {"code_mismatch": 0.0231, "max_code_difference": 3, "decision_agreement": 0.9994, "metric": 0.7411}
    return {
        "examples": 10000, "integer_model_examples": 1000, "decision_agreement": 0.9997, "metric_delta": 0.02,
        "code_mismatch": 0.0, "max_code_difference": 0, "float_tensors": [], "layers": layers,
        "kernels": {"xnnpack": exact, "builtin": other, "int4": other},
        "weight_bits": {layer["name"]: layer["weight_bits"] for layer in layers if layer["weight_bits"]},
        "metrics": {"keras": 0.7434, "integer_model": 0.7432, "int8": 0.7432, "int4": 0.7411, "float32": 0.7429},
        "limits": {"code_mismatch": 0.0, "decision_agreement": 0.999, "metric_delta": 0.1},
        "size_bytes": {"float32": 1118400, "int8": 325700, "int4": 196300},
        "latency_ms": {
            "float32": {"median": 1.92, "p10": 1.88, "p90": 2.21, "runs": 200},
            "int8": {"median": 0.574, "p10": 0.561, "p90": 0.633, "runs": 200},
            "int4": {"median": 4.31, "p10": 4.22, "p90": 4.71, "runs": 200},
        },
        "passed": True, "failures": [],
    }  # fmt: skip
