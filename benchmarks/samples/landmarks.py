"""The effect of taking the eyes from BlazeFace, compared with cropping the same images by their true landmarks."""

from pathlib import Path

import numpy as np

from pipeline.action_units.metrics import counts, f1
from pipeline.data.bp4d.folds import BP4D_PARTS
from pipeline.data.bp4d.index import FrameIndex, image_number, index_frames
from pipeline.data.bp4d.layout import find_layout
from pipeline.data.bp4d.places import read_places
from pipeline.detect import Detector, FaceSettings
from pipeline.detect.network import AuNetwork, load_shipped
from pipeline.faces.image_files import read_image

MODEL = Path(__file__).resolve().parents[2] / "tflite_out" / "synthetic_faces"
SMALLEST = 20.0  # pixels: rendered faces are small


def blazeface_against_landmarks(root: Path, images: int = 1000) -> dict:
    """On images of the model's test subjects: faces found, mean F1 with either crop, and agreement of decisions."""
    detector, network = Detector(MODEL, faces=FaceSettings(smallest=SMALLEST)), AuNetwork(load_shipped(MODEL))
    found, sidecar = find_layout(root), detector.sidecar
    index = index_frames(found, [int(label.removeprefix("AU")) for label in sidecar.labels])
    truth, ours, reference = [], [], []
    rows = _test_rows(index, images)
    for row in rows:
        places = read_places(found.places[(str(index.subjects[row]), str(index.tasks[row]))])
        image, number = read_image(found.images / index.files[row]), image_number(index.files[row])
        faces = [face for face in detector.image(image) if face.success]
        if faces and number in places.eyes:
            eyes = places.eyes[number]
            truth.append(index.clean_labels[row])
            ours.append(list(faces[0].probabilities.values()))
            reference.append(network.probabilities(sidecar.crop.cut(image, sidecar.crop.from_eyes(eyes[:2], eyes[2:]))))
    thresholds = np.array(sidecar.thresholds)
    decided = [np.array(values) >= thresholds for values in (ours, reference)]
    return {
        "images": len(rows),
        "found": len(truth),
        "f1_blazeface": float(f1(counts(decided[0], np.array(truth))).mean()),
        "f1_landmarks": float(f1(counts(decided[1], np.array(truth))).mean()),
        "decision_agreement": float((decided[0] == decided[1]).mean()),
    }


def _test_rows(index: FrameIndex, images: int) -> np.ndarray:
    """Random rows of the test subjects of the shipped model (fold 1)."""
    rows = np.flatnonzero(np.isin(index.subjects, BP4D_PARTS[0]))
    return np.random.default_rng(1).permutation(rows)[:images]
