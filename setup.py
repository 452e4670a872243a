"""Nibble's package: `pip install -e .[train,test]`, or without extras for pipeline.detect alone.

Lower bounds are the versions it is tested with.
"""

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
    package_data={
        "pipeline.reporting": ["*.css"],
        "pipeline.faces": ["*.tflite", "NOTICE*"],
        "pipeline.data.synthetic_faces": ["*.npz", "NOTICE*"],
    },
    python_requires=">=3.11,<3.13",
    install_requires=[  # what pipeline.detect needs on a device
        "ai-edge-litert>=2.3,<2.4",
        "numpy>=2.4,<3",
        "opencv-python-headless>=5,<6",
    ],
    extras_require={
        "train": [
            "flatbuffers>=25.9.23,<26",
            "grpcio>=1.80,<2",
            "importlib_resources>=7.1,<8",  # tensorflow-datasets imports it, but asks for it on older Pythons only
            "keras-tuner==1.4.8",
            "numba>=0.68,<0.70",
            "protobuf>=6.31.1,<8",
            "pydantic>=2.14,<3",
            "pydantic-core",  # pydantic itself pins the version that fits
            "PyYAML>=6.0.3,<7",
            "rich>=15,<16",
            "scikit-learn>=1.9,<2",  # keras-tuner's bayesian oracle imports it
            "scipy>=1.17,<2",
            "tensorboard>=2.20,<2.22",  # keras-tuner imports it
            "tensorflow==2.21.*",
            "tensorflow-datasets==4.9.10",
            "tensorflow-model-optimization==0.8.1",
            "tf_keras==2.21.*",
        ],
        "test": ["hypothesis>=6.170,<7", "h5py", "pytest>=9.2,<10", "pytest-xdist>=3.8,<4", "ruff==0.17.*"],
    },
)
