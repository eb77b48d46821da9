"""Every number of the demo's three stages in one frozen record, and its toy size for tests."""

from dataclasses import asdict, dataclass, replace


@dataclass(frozen=True)
class Dictionary:
    """One SAE of the bundle, behind one layer."""

    layer: int
    latents: int
    active: int
    """Latents that fire on a token."""
    learning_rate: float
    samples: int
    """Vectors read in all, of those that are kept in memory."""


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
    cycles: tuple[int, ...] = (4_400,)
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

    last_steps: int = 300
    """Behind the cycles: steps in which only the blocks behind the first SAE learn, and the last
    gain. What lies out of their reach they have to read in the stream that this SAE splits, and
    that stays as it is."""

    last_rate: float = 0.15
    """Their share of the peak learning rate. Twice the steps at twice the rate cost features their
    own concept's words."""

    last_windows: tuple[int, ...] = (8, 16, 24, 32)
    """Attention reach of those blocks in those steps."""

    warmup: int = 100
    weight_decay: float = 0.1
    windows: tuple[int, ...] = (0, 0, 0, 12, 24, 48)
    """Attention reach drawn for each step (0: all). Where the subject's name is out of reach, what
    the talk is about has to be carried along in the residual stream: that is what an SAE can find.
    """

    windowed: float = 0.64
    """Share of the cycles' steps with such windows. The rest see everything: a model that often
    could not see whether a tone was set answers in it one time in two where none is."""

    early_windowed: float = 0.5
    """Share of those in which the blocks up to the first SAE see no farther either. Where they
    always see everything, the bridge is hard to speak as; where they never do, tones are hard to
    take on, since a line that sets one is looked up and not carried along."""

    answer_tokens: int = 4
    answer_weight: float = 3.0
    """How much the first tokens of an answer count: what tone it takes on is decided there."""

    dictionaries: tuple[Dictionary, ...] = (
        # A low rate, since training starts from prototypes of tokens, which a higher one undoes.
        Dictionary(layer=0, latents=8_192, active=32, learning_rate=3e-4, samples=900_000),
        # Farther back tokens are mixed, and a higher rate with more active latents tells more.
        Dictionary(layer=1, latents=4_096, active=80, learning_rate=3e-3, samples=1_300_000),
    )
    """The SAEs. All that is shipped has to fit in 40 MB; the first is the page's and the presets'.
    """

    sae_tokens: int = 1_000_000
    """Different vectors kept in memory; each batch is drawn from them anew."""

    sae_batch: int = 1_024

    measured_tokens: int = 1_000_000
    atlas_tokens: int = 1_000_000
    checkpoint_every: int = 200
    processes: int = 2
    """One thread each: of the language model's training, and of the SAEs, measurements and claims
    that are worked on at once. With one, torch's own threads do it."""

    @property
    def steps(self) -> int:
        """Optimizer steps in all."""
        return sum(self.cycles) + self.last_steps

    @property
    def sae_layers(self) -> tuple[int, ...]:
        """Where the SAEs read and write."""
        return tuple(each.layer for each in self.dictionaries)

    @property
    def sae_layer(self) -> int:
        """The layer of the first SAE."""
        return self.sae_layers[0]

    def dictionary(self, layer: int) -> Dictionary:
        """What a layer's SAE is trained with."""
        return next(each for each in self.dictionaries if each.layer == layer)

    @property
    def hook_name(self) -> str:
        """Where the first SAE reads and writes, in TransformerLens words."""
        return hook_name(self.sae_layer)

    def to_dict(self) -> dict[str, object]:
        """Plain values for the manifest, whose readers ask for the SAEs' layers and sizes."""
        latents = tuple(each.latents for each in self.dictionaries)
        return {**asdict(self), "sae_layers": self.sae_layers, "latents": latents}


def hook_name(layer: int) -> str:
    """The residual stream behind a layer, in TransformerLens words."""
    return f"blocks.{layer}.hook_resid_post"


SHIPPED = Recipe()
SHORT = replace(
    SHIPPED,
    documents=30_000,
    cycles=(600,),
    last_steps=60,
    dictionaries=(replace(SHIPPED.dictionaries[0], samples=400_000),),
    sae_tokens=500_000,
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
    last_steps=2,
    warmup=2,
    dictionaries=tuple(
        Dictionary(layer, latents=64, active=8, learning_rate=3e-4, samples=8_192)
        for layer in (0, 1)
    ),
    sae_tokens=4_096,
    sae_batch=512,
    measured_tokens=2_000,
    atlas_tokens=4_000,
    checkpoint_every=4,
    processes=1,
)
