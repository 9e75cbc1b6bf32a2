"""Findings on what is installed: Python, packages, mlx and the device that it computes on."""

from mlxk2.domain.examination.finding import Finding, Verdict, failed
from mlxk2.ports.errors import OperationError
from mlxk2.ports.examination import Device, Package, Setup

_TOLD = ("mlx", "mlx-lm")
_CUDA = "install mlx for CUDA: pip install 'mlx[cuda13]' (or cuda12 with an older driver)"
_OPENBLAS = "install OpenBLAS, such as: apt install libopenblas0-pthread; it is found by itself"
_REINSTALL = "install mlx anew: pip install --force-reinstall mlx mlx-lm"


def check_python(setup: Setup) -> Finding:
    python = setup.interpreter()
    text = f"{python.implementation} {python.version} on {python.system} {python.processor}"
    values = (("version", python.version), ("system", python.system), ("processor", python.processor))
    if not python.suits:
        return Finding(
            "python", Verdict.FAIL, f"{text}; the program asks for {python.wanted}", "use a newer Python", values
        )
    if python.translated:
        mend = "install Python for arm64, and this program with it"
        return Finding("python", Verdict.FAIL, f"{text}, for which mlx has no Metal", mend, values)
    return Finding("python", Verdict.OK, text, values=values)


def check_packages(setup: Setup) -> Finding:
    packages = setup.packages()
    values = tuple((package.name, package.installed) for package in packages)
    wrong = [package for package in packages if not package.suits]
    if not wrong:
        told = ", ".join(f"{one.name} {one.installed}" for one in packages if one.name in _TOLD)
        return Finding("packages", Verdict.OK, f"{told}; all {len(packages)} are as asked for", values=values)
    text = ", ".join(_mismatch(package) for package in wrong)
    wanted = " ".join(f"'{package.name}{package.wanted}'" for package in wrong)
    return Finding("packages", Verdict.FAIL, text, f"pip install {wanted}", values)


def _mismatch(package: Package) -> str:
    if package.installed is None:
        return f"{package.name} is missing"
    return f"{package.name} is {package.installed}, not {package.wanted}"


class Runtime:
    """mlx is tried out once, for all findings that stand on it."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._device: Device | None = None

    def check_device(self) -> Finding:
        try:
            device = self._device = self._setup.device()
        except OperationError as error:
            return failed("device", error, _REINSTALL)
        text = f"{device.kind}{f' ({device.name})' if device.name else ''}, with mlx {device.version}"
        values = (("kind", device.kind), ("name", device.name), ("mlx", device.version))
        if device.other_gpu:
            return Finding("device", Verdict.WARN, f"{text}; there is a GPU that it does not use", _CUDA, values)
        return Finding("device", Verdict.OK, text, values=values)

    def check_blas(self) -> Finding:
        device = self._device
        if device is None:
            return Finding("blas", Verdict.WARN, "Not known, since mlx did not start", "see device")
        values = (("name", device.blas),)
        if device.kind != "CPU":
            return Finding("blas", Verdict.OK, f"Not needed: {device.kind} multiplies matrices", values=values)
        if device.slow_blas:
            text = f"On a CPU {device.blas} is many times slower than OpenBLAS"
            return Finding("blas", Verdict.WARN, text, _OPENBLAS, values)
        return Finding("blas", Verdict.OK, device.blas or "Not told by this system", values=values)
