"""Builds the native media engine; everything else is declared in pyproject.toml."""

from glob import glob

from Cython.Build import cythonize
from setuptools import Extension, setup

engine = Extension(
    "mediaserver.engine._engine",
    sources=["mediaserver/engine/_engine.pyx", *sorted(glob("mediaserver/native/*.c"))],
    depends=sorted(glob("mediaserver/native/*.h")),
    include_dirs=["mediaserver/native"],
    extra_compile_args=["-O3", "-std=gnu11", "-Wall", "-Wextra", "-fno-strict-aliasing", "-pthread"],
    extra_link_args=["-pthread", "-lm"],
)

setup(ext_modules=cythonize([engine], language_level=3))
