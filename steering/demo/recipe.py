"""Every number of the demo's three stages in one frozen record, and its toy size for tests."""

from dataclasses import asdict, dataclass, replace


@dataclass(frozen=True)
class Recipe:
    """What is trained, on how much, from which seeds. A finished bundle names its recipe."""

    seed: int = 0
    documents: int = 60_000
    vocabulary: int = 2_000
    row: int = 192
    """Tokens per training row; whole documents are packed into rows and never see each other."""

    layers: int = 6
    width: int = 192
    hidden: int = 512
    heads: int = 6
    batch: int = 16
    cycles: tuple[int, ...] = (1_200, 700)
    """Steps of each learning-rate cycle: warm-up, then a cosine down to 5 %. A usable model stands
    at the end of each, so that a rung of the ladder can be tried before training on."""

    learning_rate: float = 2e-3
    restart: float = 0.6
    """Peak of each cycle as a share of the one before."""

    warmup: int = 100
    weight_decay: float = 0.1
    windows: tuple[int, ...] = (0, 0, 0, 12, 24, 48)
    """Attention reach drawn for each step (0: all). Where the subject's name is out of reach, what
    the talk is about has to be carried along in the residual stream: that is what an SAE can find.
    """

    sae_layer: int = 1
    latents: int = 640
    active: int = 8
    sae_tokens: int = 400_000
    """Different vectors kept in memory; each batch is drawn from them anew."""

    sae_samples: int = 2_400_000
    sae_batch: int = 1_024
    sae_learning_rate: float = 1.5e-3
    measured_tokens: int = 1_000_000
    checkpoint_every: int = 200
    processes: int = 2
    """Training processes of the language model, one thread each."""

    @property
    def steps(self) -> int:
        """Optimizer steps in all."""
        return sum(self.cycles)

    @property
    def hook_name(self) -> str:
        """Where the SAE reads and writes, in TransformerLens words."""
        return f"blocks.{self.sae_layer}.hook_resid_post"

    def to_dict(self) -> dict[str, object]:
        """Plain values for the manifest."""
        return asdict(self)


SHIPPED = Recipe()
TOY = replace(
    SHIPPED,
    documents=400,
    vocabulary=700,
    layers=2,
    width=32,
    hidden=64,
    heads=2,
    batch=4,
    cycles=(6, 6),
    warmup=2,
    sae_layer=0,
    latents=64,
    active=8,
    sae_tokens=4_096,
    sae_samples=8_192,
    sae_batch=512,
    measured_tokens=4_000,
    checkpoint_every=4,
    processes=1,
)
