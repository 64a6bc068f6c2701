"""Records as the first version of this suite wrote them, word for word but for white space."""

from __future__ import annotations

LATENCY = b"""
{"schema": 1, "status": "done", "reason": null, "id": "a5feb1d0e3966cb8", "method": "s2d", "backbone": "mlp", "data":
"digits", "seed": 0, "config": {"method": {"name": "s2d", "rank": "gain"}, "backbone": {"name": "mlp", "width": 4,
"depth": 1, "activation": "silu"}, "data": {"name": "digits", "validation": 250, "train_size": null}, "train":
{"epochs": 2, "seed_epochs": 2, "batch_size": 64, "optimizer": "sgd", "lr": 0.05, "momentum": 0.9, "nesterov": false,
"weight_decay": 0.0001, "decay_norm": false, "schedule": "cosine", "milestones": [0.5, 0.75], "decay": 0.1, "warmup":
0.0, "label_smoothing": 0.0}, "growth": {"stages": 1, "ratio": 1.2, "cost": "latency", "budget": null,
"latency_batch": 8, "epsilon": 0.01, "sample": 128, "engine": "lanczos", "curvature": "definition", "memory": 2.0,
"optimizer_state": "carry", "refresh_norm": 0}, "logger": {"name": "none"}, "seed": 0, "device": "auto", "precision":
"fp32", "threads": 1, "runs_dir": "runs", "rerun": "none", "checkpoint_seconds": 30.0}, "environment": {"python":
"3.11.7", "torch": "2.15.0+cu132", "device": "cpu (x86_64)", "threads": 1, "code": "0.1.0+e51bcb6"}, "stages":
[{"stage": 0, "target_cost": 38.96799106151353, "params": 310, "macs": 296, "energy_pj": 199901.6, "widths": {"1": 4},
"epochs": 2, "train_loss": 1.6796419693827127, "val_accuracy": 0.36, "val_loss": 1.682348933339119, "test_accuracy":
0.375, "test_loss": 1.6524546567350626, "seconds": {"train": 0.023114838999845233, "grow": 0.0, "eval":
0.005826511000122991}, "flops": {"train": 4216224.0, "grow": 0.0}, "growth": null, "latency_us": 19.286905175531814},
{"stage": 1, "target_cost": 46.761589273816234, "params": 685, "macs": 666, "energy_pj": 441653.60000000003, "widths":
{"1": 9}, "epochs": 2, "train_loss": 0.7837994507409587, "val_accuracy": 0.712, "val_loss": 0.7824962838590145,
"test_accuracy": 0.7111111111111111, "test_loss": 0.8713349331234995, "seconds": {"train": 0.03995241700022234,
"grow": 0.07859066199989684, "eval": 0.001618272999621695}, "flops": {"train": 9486504.0, "grow": 7943168.0},
"growth": {"splits": 5, "added_neurons": 5, "rounds": 2, "epsilon": [0.01, 0.01], "predicted_drop":
2.913221418857575e-05, "measured_drop": 2.9125690462095122e-05, "function_gap": 1.1375951798404188e-16, "engine":
"lanczos", "curvature": "definition", "surrogate": null, "products": 32, "residual_max": 3.7860475003981264e-06,
"sample": 128, "seconds": 0.07859066199989684, "flops": 7943168.0, "stopped": null, "restart": false, "notes": {}},
"latency_us": 39.29748275619078}], "latency": {"batch": 8, "constant": 32.774595420987694, "linear": {"1":
1.5483489101314587}, "cross": [], "readings": [{"widths": {"1": 4}, "microseconds": 33.103871432363775, "noise":
3.3063109601698693, "fitted": 38.96799106151353}, {"widths": {"1": 8}, "microseconds": 32.95733333288808, "noise":
4.677596409133305, "fitted": 45.161386702039366}, {"widths": {"1": 16}, "microseconds": 33.616205481138586, "noise":
6.193395640525835, "fitted": 57.54817798309104}], "error": 0.4744567153815253}, "sha256":
"c6be656d375e1605d4feed10cdaed883fd95256e7f60ceb681d172a6ba280a22"}
"""
"""S2D up a ladder of latency."""

STATIC = b"""
{"schema": 1, "status": "done", "reason": null, "id": "591a3f510767bb65", "method": "static", "backbone": "mlp",
"data": "digits", "seed": 0, "config": {"method": {"name": "static", "step": false}, "backbone": {"name": "mlp",
"width": 4, "depth": 1, "activation": "silu"}, "data": {"name": "digits", "validation": 250, "train_size": null},
"train": {"epochs": 2, "seed_epochs": 2, "batch_size": 64, "optimizer": "sgd", "lr": 0.05, "momentum": 0.9,
"nesterov": false, "weight_decay": 0.0001, "decay_norm": false, "schedule": "cosine", "milestones": [0.5, 0.75],
"decay": 0.1, "warmup": 0.0, "label_smoothing": 0.0}, "growth": {"stages": 1, "ratio": 1.5, "cost": "params",
"budget": null, "latency_batch": 1, "epsilon": 0.01, "sample": 128, "engine": "lanczos", "curvature": "definition",
"memory": 2.0, "optimizer_state": "carry", "refresh_norm": 0}, "logger": {"name": "none"}, "seed": 0, "device":
"auto", "precision": "fp32", "threads": 1, "runs_dir": "runs", "rerun": "none", "checkpoint_seconds": 30.0},
"environment": {"python": "3.11.7", "torch": "2.15.0+cu132", "device": "cpu (x86_64)", "threads": 1, "code":
"0.1.0+e51bcb6"}, "stages": [{"stage": 0, "target_cost": 310.0, "params": 310, "macs": 296, "energy_pj": 199901.6,
"widths": {"1": 4}, "epochs": 2, "train_loss": 1.6796419693827127, "val_accuracy": 0.36, "val_loss":
1.682348933339119, "test_accuracy": 0.375, "test_loss": 1.6524546567350626, "seconds": {"train": 0.023114838999845233,
"grow": 0.0, "eval": 0.005826511000122991}, "flops": {"train": 4216224.0, "grow": 0.0}, "growth": null}, {"stage": 1,
"target_cost": 465.0, "params": 460, "macs": 444, "energy_pj": 296602.4, "widths": {"1": 6}, "epochs": 2,
"train_loss": 1.4541045697476545, "val_accuracy": 0.572, "val_loss": 1.4182641310691833, "test_accuracy":
0.5611111111111111, "test_loss": 1.4223285315558314, "seconds": {"train": 0.014847734999875684, "grow":
0.00581613499980449, "eval": 0.0012197310002193262}, "flops": {"train": 6324336.0, "grow": 189440.0}, "growth":
{"splits": 2, "added_neurons": 2, "rounds": 1, "epsilon": null, "predicted_drop": null, "measured_drop": null,
"function_gap": 2.2751675469316036e-16, "engine": null, "curvature": "definition", "surrogate": null, "products": 0,
"residual_max": null, "sample": 128, "seconds": 0.00581613499980449, "flops": 189440.0, "stopped": null, "restart":
true, "notes": {}}}], "sha256": "eb754c7992ce6e019f2c93559512d43c79a167bd6fcf8fbe0f378db037a2e144"}
"""
"""A control, which said by an option that it has no step."""

REGRESSION = b"""
{"schema": 1, "status": "done", "reason": null, "id": "541df81d18a3efad", "method": "net2net", "backbone": "rbf",
"data": "rbf", "seed": 0, "config": {"method": {"name": "net2net", "step": true}, "backbone": {"name": "rbf", "width":
1}, "data": {"name": "rbf", "teacher_seed": 0, "train_size": 1000, "validation": 200, "test_size": 1000, "neurons":
15}, "train": {"epochs": 0, "seed_epochs": 0, "batch_size": 64, "optimizer": "sgd", "lr": 0.05, "momentum": 0.9,
"nesterov": false, "weight_decay": 0.0001, "decay_norm": false, "schedule": "cosine", "milestones": [0.5, 0.75],
"decay": 0.1, "warmup": 0.0, "label_smoothing": 0.0}, "growth": {"stages": 1, "ratio": 1.5, "cost": "params",
"budget": null, "latency_batch": 1, "epsilon": 0.01, "sample": 128, "engine": "lanczos", "curvature": "definition",
"memory": 2.0, "optimizer_state": "carry", "refresh_norm": 0}, "logger": {"name": "none"}, "seed": 0, "device":
"auto", "precision": "fp32", "threads": 1, "runs_dir": "runs", "rerun": "none", "checkpoint_seconds": 30.0},
"environment": {"python": "3.11.7", "torch": "2.15.0+cu132", "device": "cpu (x86_64)", "threads": 1, "code":
"0.1.0+e51bcb6"}, "stages": [{"stage": 0, "target_cost": 4.0, "params": 4, "macs": 2, "energy_pj": 2589.2, "widths":
{"0": 1}, "epochs": 0, "train_loss": null, "val_accuracy": null, "val_loss": 5.32440277427435, "test_accuracy": null,
"test_loss": 5.244147424161434, "seconds": {"train": 0.0, "grow": 0.0, "eval": 0.0016389839997827949}, "flops":
{"train": 0.0, "grow": 0.0}, "growth": null}, {"stage": 1, "target_cost": 6.0, "params": 4, "macs": 2, "energy_pj":
2589.2, "widths": {"0": 1}, "epochs": 0, "train_loss": null, "val_accuracy": null, "val_loss": 5.32440277427435,
"test_accuracy": null, "test_loss": 5.244147424161434, "seconds": {"train": 0.0, "grow": 0.0009712619998936134,
"eval": 0.0009870449998743425}, "flops": {"train": 0.0, "grow": 0.0}, "growth": {"splits": 0, "added_neurons": 0,
"rounds": 0, "epsilon": null, "predicted_drop": null, "measured_drop": null, "function_gap": null, "engine": null,
"curvature": "definition", "surrogate": null, "products": 0, "residual_max": null, "sample": 128, "seconds":
0.0009712619998936134, "flops": 0.0, "stopped": null, "restart": false, "notes": {}}}], "sha256":
"e5c1f61d3bce958ba539438d9106d683fb25f860d9f46724f9fe0a729ecfa0ae"}
"""
"""Without accuracies."""
