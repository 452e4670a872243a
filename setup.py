"""Nibble's package: `pip install -e .[test]`."""

from pathlib import Path

from setuptools import find_packages, setup

setup(
    name="nibble",
    version="0.1.0",
    description="Quantization-aware training that resists wrong labels, from one YAML to a verified 4-bit TFLite file",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=find_packages(include=["pipeline", "pipeline.*"]),
    package_data={"pipeline.reporting": ["*.css"]},
    python_requires=">=3.11,<3.13",
    install_requires=[
        "ai-edge-litert>=2.3,<2.4",
        "flatbuffers>=25.2,<26",
        "importlib_resources>=6",  # tensorflow-datasets imports it on 3.11 without asking for it
        "keras-tuner==1.4.8",
        "numpy>=2.2,<3",
        "protobuf>=6.31",  # the range is TensorFlow's and TensorBoard's to narrow
        "pydantic>=2.12,<3",
        "pydantic-core",  # pydantic pins the one version that fits it
        "PyYAML>=6.0.2,<7",
        "rich>=14,<16",
        "tensorboard>=2.20,<2.22",  # keras-tuner imports it
        "tensorflow==2.21.*",
        "tensorflow-datasets==4.9.10",
        "tensorflow-model-optimization==0.8.1",
        "tf_keras==2.21.*",
    ],
    extras_require={
        "test": ["hypothesis>=6.120,<7", "pytest>=9,<10", "pytest-xdist>=3.6,<4", "ruff>=0.14,<1"],
        "bench": ["matplotlib>=3.10,<4"],
    },
)
