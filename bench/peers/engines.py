# SPDX-License-Identifier: Apache-2.0
"""Engines as long-lived processes that speak the line protocol of bench/serve.c."""
import ctypes
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).parent
AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
ENCODINGS = ["f32", "int8", "int8-weights", "int4-weights", "2:4", "2:4-int8"]  # of bench/variant.h
RATES = ["gemm", "onednn", "fma256", "fma512", "read"]


SLOW = 0.5  # seconds of an inference that needs no warm-up in each round
TICKS = os.sysconf("SC_CLK_TCK")


class EngineError(Exception):
    pass


def die_with_parent():
    """A driver that is killed leaves no stopped engines behind: PR_SET_PDEATHSIG."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def busy_ticks():
    """Clock ticks that the CPUs were not idle, all together."""
    fields = [int(word) for word in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return sum(fields) - fields[3] - fields[4]


def wait_for_quiet(deadline):
    """With all engines stopped: until other processes rest for a tenth of a second, or the deadline."""
    while time.monotonic() < deadline:
        busy = busy_ticks()
        time.sleep(0.1)
        if busy_ticks() - busy <= 1:
            return


class Engine:
    """One process. It is stopped (SIGSTOP) whenever it is not being timed, so that an idle thread
    pool that spins takes nothing from another engine, and each keeps its own default spinning."""

    def __init__(self, name, command, threads, env=None):
        self.name = name
        self.seconds = None  # of one inference
        self.times = []  # of each visit: a list of ns
        self.nodes = []  # of each visit: ns by kind of node, over all layers
        self.others = []  # of each visit: CPUs that other processes kept busy
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("PARE_", "OMP_", "MKL_"))}
        keep |= {"OMP_NUM_THREADS": str(threads)} | (env or {})
        self.process = subprocess.Popen([str(word) for word in command], env=keep, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        preexec_fn=die_with_parent)
        self.about = json.loads(self._read())
        self._signal(signal.SIGSTOP)

    def _read(self):
        line = self.process.stdout.readline()
        if not line:
            raise EngineError(f"{self.name} ended with status {self.process.wait()}")
        return line

    def _signal(self, number):
        self.process.send_signal(number)

    def ask(self, *lines):
        """Send requests while the process runs, and return the answers."""
        self._signal(signal.SIGCONT)
        answers = []
        for line in lines:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            answers.append(self._read())
        self._signal(signal.SIGSTOP)
        return answers

    def run(self, times):
        return [int(word) for word in self.ask(f"run {times}")[0].split()]

    def calibrate(self):
        """Seconds of one inference."""
        self.seconds = self.run(1)[0] / 1e9
        if self.seconds < SLOW:
            self.seconds = min(self.run(3)) / 1e9
        return self.seconds

    def visit(self, span):
        """Warm up for 50 ms, but for slow inferences, then time some."""
        if self.seconds < SLOW:
            end = time.monotonic() + 0.05
            while time.monotonic() < end:
                self.run(1)
        busy, own = busy_ticks(), self.cpu_ticks()
        start = time.monotonic()
        self.times.append(self.run(self.inferences(span)))
        others = busy_ticks() - busy - (self.cpu_ticks() - own)
        self.others.append(max(0, others) / TICKS / (time.monotonic() - start))

    def profile(self):
        """Pare's own: ns of every kind of node ("ffn.up")."""
        sums = {}
        for node in json.loads(self.ask("profile 2")[0]):
            kind = ".".join(node["path"].split(".")[2:])
            sums[kind] = sums.get(kind, 0) + node["ns"]
        self.nodes.append(sums)

    def inferences(self, span):
        return min(200, max(1 if self.seconds > 0.1 else 3, int(span / self.seconds) + 1))

    def cpu_ticks(self):
        """Clock ticks that the process has used."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    def close(self):
        self._signal(signal.SIGCONT)
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def best_of(candidates):
    """The fastest of engines (by their shortest time, in two rounds); the others are closed."""
    least = {}
    for _ in range(2):
        for engine in candidates:
            seconds = engine.calibrate()
            least[engine] = min(seconds, least.get(engine, seconds))
    best = min(candidates, key=least.get)
    for engine in candidates:
        if engine is not best:
            engine.close()
    return best


class Maker:
    """Starts engines by name for one setting: model, batch, threads."""

    def __init__(self, build, folder, onnx_files, torch_python, batch, threads):
        self.build, self.folder, self.onnx_files = pathlib.Path(build), folder, onnx_files
        self.torch_python, self.batch, self.threads = torch_python, batch, threads

    def pare(self, name, *words, env=None):
        command = [self.build / "bench/serve", self.folder, f"batch={self.batch}",
                   f"threads={self.threads}", *words]
        return Engine(name, command, self.threads, env)

    def rate(self, kind):
        return Engine(f"rate {kind}", [self.build / "bench/rates", kind, self.threads], self.threads)

    def onnxruntime(self, name, forms):
        return best_of([self.peer(name, form, sys.executable, HERE / "serve_ort.py", self.onnx_files[form])
                        for form in forms])

    def torch(self, name, env=None):
        return best_of([self.peer(name, form, self.torch_python, HERE / "serve_torch.py", self.folder,
                                  last=[form], env=env) for form in ("eager", "onednn")])

    def peer(self, name, form, *command, last=(), env=None):
        engine = Engine(name, [*command, self.batch, self.threads, *last], self.threads, env)
        engine.about["form"] = form
        return engine

    def start(self, name):
        """pare ENCODING [avx2] [KEY=N], onnxruntime f32|int8, torch [avx2], rate KIND."""
        family, *rest = name.split()
        if family == "rate":
            return self.rate(rest[0])
        if family == "torch":
            return self.torch(name, AVX2 if "avx2" in rest else None)
        if family == "onnxruntime":
            forms = [f for f in self.onnx_files if f.startswith("int8") == (rest[0] == "int8")]
            return self.onnxruntime(name, forms)
        words = ["isa=avx2" if word == "avx2" else word for word in rest[1:]]
        return self.pare(name, f"encoding={rest[0]}", *words)
