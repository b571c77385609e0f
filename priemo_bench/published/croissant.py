"""Croissant metadata of the rendered data set, with the minimal responsible-AI fields.

`priemo_bench/data/files/rendered.croissant.json` is `text()`; whoever changes the data set writes
it again: `python -m priemo_bench.published.croissant`.

Source: MLCommons, Croissant 1.0 and Croissant RAI 1.0.
"""

from __future__ import annotations

import json
from hashlib import sha256
from importlib.resources import files
from typing import Any

from priemo_bench.contracts.storage import write_text

FOLDER = files("priemo_bench.data") / "files"
DATA, FILE = "rendered.parquet", "rendered.croissant.json"
TEXTS = {
    "emotion": "the emotion that the face was made to show: angry, disgust, fear, happy, sad, "
    "surprise or neutral",
    "person": "p000 to p199; no person is in two splits",
    "split": "train, choice, fit or test",
    "ethnicity": "main set of face targets of MakeHuman: african, asian or caucasian",
    "sex": "set of face targets of MakeHuman: female or male",
}
NUMBERS = {
    "take": "0 or 1", "age": "0 is young, 1 is old", "strength": "of the expression as a whole",
    "yaw": "degrees", "pitch": "degrees", "roll": "degrees",
}  # fmt: skip
CONTEXT: dict[str, Any] = {
    "@language": "en", "@vocab": "https://schema.org/", "citeAs": "cr:citeAs",
    "column": "cr:column", "conformsTo": "dct:conformsTo", "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/", "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"}, "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty", "examples": {"@id": "cr:examples",
    "@type": "@json"}, "extract": "cr:extract", "field": "cr:field", "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty", "fileSet": "cr:fileSet", "format": "cr:format",
    "includes": "cr:includes", "isLiveDataset": "cr:isLiveDataset", "jsonPath": "cr:jsonPath",
    "key": "cr:key", "md5": "cr:md5", "parentField": "cr:parentField", "path": "cr:path",
    "recordSet": "cr:recordSet", "references": "cr:references", "regex": "cr:regex",
    "repeated": "cr:repeated", "replace": "cr:replace", "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/", "separator": "cr:separator", "source": "cr:source",
    "subField": "cr:subField", "transform": "cr:transform",
}  # fmt: skip
RESPONSIBLE = {
    "rai:dataCollection": "No data of persons were collected. 2,240 pictures of 200 made-up "
    "persons were rendered by a program from CC0 meshes, with sampled faces, poses and light.",
    "rai:dataCollectionType": "Computational: rendered",
    "rai:dataAnnotationProtocol": "Nobody labelled a picture: each label is the recipe of face "
    "units that the picture was made with, fixed before any classifier saw a picture.",
    "rai:dataPreprocessingProtocol": "Rendered three times larger, softened, averaged down to "
    "112x112, stored as lossless WebP.",
    "rai:dataUseCases": "Comparing methods that hide emotions from classifiers under equal "
    "conditions; tests, demonstrations, questions that need a known cause. Not for claims about "
    "photographs, and not for training recognisers that are applied to people.",
    "rai:dataLimitations": "No pores, wrinkles by texture, cast shadows or teeth worth the name; "
    "seven recipes make seven clean classes, which the faces of people are not.",
    "rai:dataBiases": "Three sets of ethnic targets, two sexes and two ends of age are mixed about "
    "equally; all others are absent. Expressions are of one set of recipes for all persons.",
    "rai:dataSocialImpact": "Emotion recognition is applied to people without their consent; this "
    "set serves to measure protection from it. A rate on it promises nothing for a photograph.",
    "rai:personalSensitiveInformation": "None: nobody is shown. Ethnicity, sex and age are those "
    "of made-up faces.",
    "rai:dataReleaseMaintenancePlan": "It comes with the package and never changes under one name; "
    "other pictures would be another data set. Errors are reported as issues of the project.",
}


def metadata() -> dict[str, Any]:
    """The metadata as JSON-LD."""
    content = (FOLDER / DATA).read_bytes()
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": [f"http://mlcommons.org/croissant/{part}1.0" for part in ("", "RAI/")],
        "name": "priemo-bench-rendered",
        "description": "Faces of 200 made-up persons, each showing seven emotions, 112x112 RGB; "
        "the embedded data set of priemo-bench.",
        "version": "1.0.0",
        "datePublished": "2026-11-26",
        "license": "https://creativecommons.org/publicdomain/zero/1.0/",
        "creator": {"@type": "sc:Organization", "name": "The priemo-bench authors"},
        "keywords": ["faces", "emotion", "rendered", "privacy"],
        "citeAs": "The priemo-bench authors: priemo-bench, the rendered data set, 2026.",
        "isLiveDataset": False,
        **RESPONSIBLE,
        "distribution": [
            {
                "@type": "cr:FileObject", "@id": DATA, "name": DATA, "contentUrl": DATA,
                "description": "One row a picture.", "contentSize": f"{len(content)} B",
                "encodingFormat": "application/x-parquet", "sha256": sha256(content).hexdigest(),
            }
        ],
        "recordSet": [{"@type": "cr:RecordSet", "@id": "pictures", "name": "pictures",
                       "description": "The pictures.", "field": _fields()}],
    }  # fmt: skip


def _fields() -> list[dict[str, Any]]:
    kinds = {
        "image": ("sc:ImageObject", "112x112 RGB, lossless WebP"),
        **{name: ("sc:Text", text) for name, text in TEXTS.items()},
        **{name: ("sc:Float", text) for name, text in NUMBERS.items()},
        "take": ("sc:Integer", NUMBERS["take"]),
    }
    return [
        {
            "@type": "cr:Field", "@id": f"pictures/{name}", "name": name, "description": text,
            "dataType": kind, "source": {"fileObject": {"@id": DATA}, "extract": {"column": name}},
        }
        for name, (kind, text) in kinds.items()
    ]  # fmt: skip


def text() -> str:
    """The metadata as the text of FILE."""
    return json.dumps(metadata(), indent=1) + "\n"


if __name__ == "__main__":
    from pathlib import Path

    write_text(Path(str(FOLDER / FILE)), text())
