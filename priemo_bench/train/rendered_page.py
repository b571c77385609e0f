"""The accuracy of all installed recognisers on the rendered faces, for the data set's page.

python -m priemo_bench.train.rendered_page
"""

from __future__ import annotations

from pathlib import Path

from priemo_bench import registry
from priemo_bench.contracts.image import EMOTIONS
from priemo_bench.contracts.storage import write_text
from priemo_bench.data.rendered import Rendered
from priemo_bench.errors import PriemoError
from priemo_bench.train.measure import evaluate_victim

PAGE = Path(__file__).parents[1] / "data" / "files" / "RENDERED.md"
BEGIN, END = "<!-- RECOGNISERS: begin -->", "<!-- RECOGNISERS: end -->"


def table() -> str:
    """Markdown: accuracy with its interval and recall per emotion of each victim, test split."""
    faces = Rendered().split("test")
    lines = [
        f"| recogniser | trained on | accuracy | {' | '.join(EMOTIONS)} |",
        "|---" * (3 + len(EMOTIONS)) + "|",
    ]
    for name in registry.names("victims"):
        try:
            victim = registry.get("victims", name)()
        except PriemoError:  # not installed here
            continue
        result = evaluate_victim(victim, {"test": faces})["test"]
        overall = result["overall"]
        shown = f"{overall['value']:.3f} ({overall['low']:.2f}-{overall['high']:.2f})"
        recalls = " | ".join(f"{result['recall'][emotion]['value']:.2f}" for emotion in EMOTIONS)
        lines.append(f"| {name} | {victim.card.training_data} | {shown} | {recalls} |")
    return "\n".join(lines)


def main() -> None:
    """Replace the table on the page."""
    text = PAGE.read_text("utf-8")
    head, tail = text.split(BEGIN)[0], text.split(END)[1]
    write_text(PAGE, f"{head}{BEGIN}\n{table()}\n{END}{tail}")


if __name__ == "__main__":
    main()
