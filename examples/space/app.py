"""A page for a Hugging Face Space: instruct the pocket model, draw, and compare with the same seeds uninstructed."""

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before gradio is imported: it would report its use

import gradio as gr
from PIL import Image

from fair_diffusion import FairPipeline, Policy
from fair_diffusion.policy import match

PROMPT, INSTRUCTION = "a photo of a firefighter", "firefighter: half women"
HEAD = ["attribute", "group", "asked", "drawn"]
STEPS = int(os.environ.get("STEPS", "25"))
pipe = FairPipeline.from_pretrained("pocket")


def explain(prompt: str, instruction: str) -> str:
    """What the instruction does with the prompt, or why it cannot be read."""
    try:
        return str(match(Policy.from_sentence(instruction), prompt).reason)
    except ValueError as error:
        return str(error)


def draw(prompt: str, instruction: str, images: float, seed: float) -> tuple[list[Image.Image], ...]:
    """Images plain and instructed, of the same seeds, and what the judge counted."""
    try:
        asked = {"n": int(images), "seed": int(seed), "steps": STEPS, "compare_plain": True}
        result = pipe(prompt, instruct=instruction or None, **asked)  # type: ignore[arg-type]
    except ValueError as error:
        raise gr.Error(str(error)) from error
    counted = [[row.attribute, row.group, row.quota, row.count] for row in result.audit]
    plain = result.compared.images if result.compared else result.images
    return [*plain], [*result.images], counted  # type: ignore[return-value]


with gr.Blocks(title="fair-diffusion") as page:
    gr.Markdown(
        "# fair-diffusion\nSay which proportions you want. The model draws plain and instructed; a judge counts."
    )
    prompt = gr.Textbox(PROMPT, label="Prompt")
    instruction = gr.Textbox(INSTRUCTION, label="Instruction")
    told = gr.Markdown(explain(PROMPT, INSTRUCTION))
    with gr.Row():
        images = gr.Slider(2, 16, 8, step=1, label="Images")
        seed = gr.Number(0, label="Seed", precision=0)
        button = gr.Button("Draw", variant="primary")
    with gr.Row():
        plain = gr.Gallery(label="Plain", columns=4)
        instructed = gr.Gallery(label="Instructed, same seeds", columns=4)
    counted = gr.Dataframe(headers=HEAD, label="As the judge counts the instructed images")
    gr.on([prompt.change, instruction.change], explain, [prompt, instruction], told)
    button.click(draw, [prompt, instruction, images, seed], [plain, instructed, counted])

if __name__ == "__main__":
    page.queue(max_size=16).launch(theme=gr.themes.Default(font="system-ui", font_mono="monospace"))
