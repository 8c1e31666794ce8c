#!/usr/bin/env python3
"""Check models/digits.* and calibration/ as committed (no training, no torch): the graph is valid, the sidecar's
float accuracy is what onnxruntime measures, and onnxruntime's own 8-bit quantization loses at most 0.5 points."""
import json
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "models" / "digits.onnx"
SIDE = json.loads(MODEL.with_suffix(".json").read_text())


def feed(x):
    p = SIDE["preprocess"]
    x = (x.transpose(0, 3, 1, 2) * p["scale"] - p["mean"][0]) / p["std"][0]
    return {SIDE["input"]["name"]: x.astype(np.float32)}


def top1(path, x, y):
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return float(np.mean([session.run(None, feed(x[i:i + 1]))[0].argmax() == y[i] for i in range(len(x))]))


class Reader(CalibrationDataReader):
    def __init__(self, x):
        self.feeds = iter([feed(x[i:i + 50]) for i in range(0, len(x), 50)])

    def get_next(self):
        return next(self.feeds, None)


onnx.checker.check_model(onnx.load(MODEL), full_check=True)
calib = np.load(MODEL.parent / SIDE["data"]["calib"])
test = np.load(MODEL.parent / SIDE["data"]["test"])
assert calib.files == ["x"] and calib["x"].shape == (300, 28, 28, 1) and calib["x"].dtype == np.uint8
assert test["x"].shape == (1500, 28, 28, 1) and test["x"].dtype == np.uint8 and test["y"].dtype == np.int64
assert not {p.tobytes() for p in calib["x"]} & {p.tobytes() for p in test["x"]}, "calibration and test overlap"
pngs = sorted((ROOT / "calibration" / "images").glob("*.png"))
for picture, path in zip(calib["x"], pngs):
    image = Image.open(path)
    assert image.mode == "L" and np.array_equal(np.asarray(image), picture[:, :, 0]), path

measured = top1(MODEL, test["x"], test["y"])
with tempfile.TemporaryDirectory() as tmp:
    quant_pre_process(str(MODEL), f"{tmp}/folded.onnx")
    quantize_static(f"{tmp}/folded.onnx", f"{tmp}/int8.onnx", Reader(calib["x"]), quant_format=QuantFormat.QDQ,
                    per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
    quantized = top1(f"{tmp}/int8.onnx", test["x"], test["y"])
print(f"float {measured:.4%} (sidecar {SIDE['fp32']['top1']:.4%}), int8 {quantized:.4%}, {len(pngs)} PNG files")
assert abs(measured - SIDE["fp32"]["top1"]) < 1e-6 and measured - quantized <= 0.005
