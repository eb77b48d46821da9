"""Every number of the demo's three stages in one frozen record, and its toy size for tests."""

from dataclasses import asdict, dataclass, replace


@dataclass(frozen=True)
class Recipe:
    """What is trained, on how much, from which seeds. A finished bundle names its recipe."""

    seed: int = 0
    documents: int = 200_000
    vocabulary: int = 8_000
    """Before tokens that the corpus never uses are dropped. Large enough that every name of the
    world is one token: 4,000 leaves four in five split."""
    row: int = 256
    """Tokens per training row; whole documents are packed into rows and never see each other."""

    layers: int = 4
    width: int = 256
    hidden: int = 768
    heads: int = 4
    batch: int = 16
    cycles: tuple[int, ...] = (4_000,)
    """Steps of each learning-rate cycle: warm-up, then a cosine down to 5 %. A usable model stands
    at the end of each; with more than one, a rung of the ladder can be tried before training on."""

    learning_rate: float = 7e-3
    """Of the matrices, under Muon."""

    writing_share: float = 0.15
    """Of that rate, for the matrices that write into the residual stream."""

    embedding_rate: float = 3.2e-2
    """Of the embedding, under AdamW."""

    embedding_std: float = 0.3
    """At the start. With it and the two rates above, what a token is stays a large part of the
    stream behind every layer: otherwise the first block's output is a hundred times the embedding's
    and holds word classes, in which an SAE finds no single name."""

    gain_rate: float = 4e-3
    """Of the gains, under AdamW."""

    restart: float = 0.8
    """Peak of each cycle as a share of the one before."""

    warmup: int = 100
    weight_decay: float = 0.1
    windows: tuple[int, ...] = (0, 0, 0, 12, 24, 48)
    """Attention reach drawn for each step (0: all). Where the subject's name is out of reach, what
    the talk is about has to be carried along in the residual stream: that is what an SAE can find.
    """

    windowed: float = 0.7
    """Share of the steps with such windows. The rest see everything: a model that often could not
    see whether a tone was set answers in it one time in two where none is."""

    sae_layers: tuple[int, ...] = (0, 1)
    """Where the SAEs read and write; the first one is the page's and the presets'."""

    latents: tuple[int, ...] = (8_192, 4_096)
    """Of each layer's SAE. All that is shipped has to fit in 40 MB, and the first is the one that
    presets steer."""

    active: int = 32
    sae_tokens: int = 1_000_000
    """Different vectors kept in memory; each batch is drawn from them anew."""

    sae_samples: int = 900_000
    sae_batch: int = 1_024
    sae_learning_rate: float = 3e-4
    """Low, since training starts from prototypes, which a higher one undoes in a few steps."""

    measured_tokens: int = 1_000_000
    atlas_tokens: int = 200_000
    checkpoint_every: int = 200
    processes: int = 2
    """One thread each: of the language model's training, and of the SAEs, measurements and claims
    that are worked on at once. With one, torch's own threads do it."""

    @property
    def steps(self) -> int:
        """Optimizer steps in all."""
        return sum(self.cycles)

    @property
    def sae_layer(self) -> int:
        """The layer of the first SAE."""
        return self.sae_layers[0]

    def latents_of(self, layer: int) -> int:
        """The size of a layer's SAE."""
        return dict(zip(self.sae_layers, self.latents, strict=True))[layer]

    @property
    def hook_name(self) -> str:
        """Where the first SAE reads and writes, in TransformerLens words."""
        return hook_name(self.sae_layer)

    def to_dict(self) -> dict[str, object]:
        """Plain values for the manifest."""
        return asdict(self)


def hook_name(layer: int) -> str:
    """The residual stream behind a layer, in TransformerLens words."""
    return f"blocks.{layer}.hook_resid_post"


SHIPPED = Recipe()
SHORT = replace(
    SHIPPED,
    documents=30_000,
    cycles=(600,),
    sae_layers=(0,),
    latents=(8_192,),
    sae_tokens=500_000,
    sae_samples=400_000,
    measured_tokens=100_000,
    atlas_tokens=50_000,
)
"""The short loop: edit the world, train a little, see which claims move."""

TOY = replace(
    SHIPPED,
    documents=400,
    vocabulary=4_000,
    layers=2,
    width=32,
    hidden=64,
    heads=2,
    batch=4,
    cycles=(6, 6),
    warmup=2,
    sae_layers=(0, 1),
    latents=(64, 64),
    active=8,
    sae_tokens=4_096,
    sae_samples=8_192,
    sae_batch=512,
    measured_tokens=2_000,
    atlas_tokens=4_000,
    checkpoint_every=4,
    processes=1,
)
