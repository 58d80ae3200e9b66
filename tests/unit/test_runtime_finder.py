"""The finder hands out our `artiq` only where there is no other, in whatever way the other is installed.

Every case runs in an interpreter of its own: which `artiq` wins is decided once per process.
"""

import subprocess
import sys
import textwrap
import zipfile

import pytest

REAL = "REAL = True\n"
ASK = "import artiq; print(getattr(artiq, 'REAL', False), getattr(artiq, '__host_runtime__', False))"
INSTALL = "import sim.artiq_runtime; sim.artiq_runtime.install()"
# What really is installed here must not decide the test.
HIDE = """
import sys, importlib.machinery as machinery
class Hidden:
    def __init__(self, finder): self.finder = finder
    def find_spec(self, name, path=None, target=None):
        if name == "artiq" and path is None:
            path = [entry for entry in sys.path if entry.startswith(FOLDER) or entry == ""]
            return machinery.PathFinder.find_spec(name, path, target) if self.finder is machinery.PathFinder else None
        return self.finder.find_spec(name, path, target)
sys.meta_path[:] = [Hidden(finder) for finder in sys.meta_path if hasattr(finder, "find_spec")]
"""


def python(tmp_path, *lines: str, hide: bool = True) -> subprocess.CompletedProcess:
    code = "\n".join(textwrap.dedent(line) for line in (f"FOLDER = {str(tmp_path)!r}", HIDE if hide else "", *lines))
    return subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)


def winner(*args, **kwargs) -> str:
    done = python(*args, **kwargs)
    assert done.returncode == 0, done.stderr
    return {"True False": "real", "False True": "ours"}[done.stdout.strip()]


def package(folder, body: str = REAL):
    (folder / "artiq").mkdir(parents=True)
    (folder / "artiq" / "__init__.py").write_text(body)
    return folder


def test_ours_is_found_where_there_is_no_other(tmp_path):
    assert winner(tmp_path, INSTALL, ASK) == "ours"


def test_without_the_finder_nothing_of_ours_is_importable_as_artiq(tmp_path):
    done = python(tmp_path, "import sim.artiq_runtime", "import artiq")
    assert done.returncode == 1
    assert "No module named 'artiq'" in done.stderr


def test_a_package_on_the_path_wins(tmp_path):
    package(tmp_path / "lib")
    assert winner(tmp_path, f"sys.path.append({str(tmp_path / 'lib')!r})", INSTALL, ASK) == "real"


def test_a_package_that_comes_onto_the_path_after_us_wins(tmp_path):
    package(tmp_path / "lib")
    assert winner(tmp_path, INSTALL, f"sys.path.append({str(tmp_path / 'lib')!r})", ASK) == "real"


def test_a_package_in_the_working_directory_wins(tmp_path):
    package(tmp_path)
    assert winner(tmp_path, INSTALL, ASK) == "real"


def test_a_package_that_a_pth_file_adds_wins(tmp_path):
    package(tmp_path / "source")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "artiq.pth").write_text(str(tmp_path / "source"))
    assert winner(tmp_path, INSTALL, f"import site; site.addsitedir({str(tmp_path / 'site')!r})", ASK) == "real"


def test_a_package_in_a_zip_file_wins(tmp_path):
    with zipfile.ZipFile(tmp_path / "lib.zip", "w") as archive:
        archive.writestr("artiq/__init__.py", REAL)
    assert winner(tmp_path, INSTALL, f"sys.path.append({str(tmp_path / 'lib.zip')!r})", ASK) == "real"


def test_a_single_file_of_that_name_wins(tmp_path):
    (tmp_path / "artiq.py").write_text(REAL)
    assert winner(tmp_path, INSTALL, ASK) == "real"


@pytest.mark.parametrize("place", ["append(editable)", "insert(0, editable)"])
def test_an_editable_install_with_its_own_finder_wins_wherever_it_stands(tmp_path, place):
    # What setuptools makes of `pip install -e`: a finder on sys.meta_path that knows one package.
    where = str(package(tmp_path / "checkout") / "artiq" / "__init__.py")
    editable = f"""
        import importlib.util
        class Editable:
            @classmethod
            def find_spec(cls, name, path=None, target=None):
                if name == "artiq":
                    return importlib.util.spec_from_file_location(name, {where!r})
        editable = Editable
    """
    assert winner(tmp_path, INSTALL, editable, f"sys.meta_path.{place}", ASK) == "real"


def test_a_package_that_a_loader_makes_without_a_file_wins(tmp_path):
    loader = """
        import importlib.util
        class Maker:
            def find_spec(self, name, path=None, target=None):
                return importlib.util.spec_from_loader(name, self) if name == "artiq" else None
            def create_module(self, spec): return None
            def exec_module(self, module): module.REAL = True
        sys.meta_path.append(Maker())
    """
    assert winner(tmp_path, INSTALL, loader, ASK) == "real"


def test_a_real_package_that_fails_to_import_is_not_replaced(tmp_path):
    package(tmp_path, "raise ImportError('llvmlite is broken')")
    done = python(tmp_path, INSTALL, ASK)
    assert done.returncode == 1
    assert "llvmlite is broken" in done.stderr


def test_a_mere_folder_of_that_name_is_not_a_real_artiq(tmp_path):
    (tmp_path / "artiq" / "examples").mkdir(parents=True)
    assert winner(tmp_path, INSTALL, ASK) == "ours"


def test_submodules_of_a_real_package_are_left_to_it(tmp_path):
    package(tmp_path)
    done = python(tmp_path, INSTALL, "import artiq.tools")
    assert "No module named 'artiq.tools'" in done.stderr


def test_installing_twice_and_two_finders_at_once_do_no_harm(tmp_path):
    two = "from sim.artiq_runtime.finder import RuntimeFinder; sys.meta_path.append(RuntimeFinder())"
    assert winner(tmp_path, INSTALL, INSTALL, two, ASK) == "ours"
    package(tmp_path)
    assert winner(tmp_path, INSTALL, INSTALL, two, ASK) == "real"


@pytest.mark.parametrize(
    "statement", ["import artiq.gateware", "from artiq.coredevice import comm_analyzer", "import artiq.compiler.types"]
)
def test_a_part_that_we_lack_says_so_and_what_to_install(tmp_path, statement):
    done = python(tmp_path, INSTALL, f"try:\n    {statement}\nexcept ImportError as error: print(error)")
    assert "is not in the pip-only runtime" in done.stdout
    assert "pip install 'atomlink[artiq]'" in done.stdout


def test_a_name_that_a_module_lacks_is_an_ordinary_import_error(tmp_path):
    done = python(tmp_path, INSTALL, "from artiq.tools import nonsense")
    assert "cannot import name 'nonsense'" in done.stderr


def test_loading_an_experiment_needs_neither_h5py_nor_lmdb_nor_asyncio(tmp_path):
    heavy = "print(sorted({'h5py', 'lmdb', 'scipy', 'asyncio'} & set(sys.modules)))"
    done = python(tmp_path, INSTALL, "from artiq.experiment import *", heavy)
    assert done.stdout.strip() == "[]"
