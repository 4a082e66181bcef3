"""Tiny networks as people write them: each has a habit that an export must cope with, or refuse."""

import threading
from types import SimpleNamespace

import torch
from torch import nn
from torch.nn import functional


def down(channels=3, latent=4, stride=(8, 8)):
    return nn.Conv2d(channels, latent, stride, stride)


def up(channels=3, latent=4, stride=(8, 8)):
    return nn.ConvTranspose2d(latent, channels, stride, stride)


class Plain(nn.Module):
    """`encoder` and `decoder`."""

    def __init__(self, channels=3, latent=4, stride=(8, 8)):
        super().__init__()
        self.encoder, self.decoder = down(channels, latent, stride), up(channels, latent, stride)


class Methods(nn.Module):
    """`encode` and `decode` of one module, with a weight that only the decoder uses."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.norm = down(), up(), nn.BatchNorm2d(4)

    def encode(self, image):
        return functional.dropout(self.norm(self.a(image)), 0.5, self.training)

    def decode(self, latent):
        return self.b(latent)


class Posterior(Methods):
    """`(mu, logvar)`."""

    def encode(self, image):
        latent = self.a(image)
        return latent, latent * 2


class Named(Methods):
    """Dicts."""

    def encode(self, image):
        return {"features": self.a(image) * 3, "latent": self.a(image)}

    def decode(self, latent):
        return {"x_hat": self.b(latent)}


class Distributed(Methods):
    """A distribution of PyTorch."""

    def encode(self, image):
        return torch.distributions.Normal(self.a(image), 1.0)


class Diffusers(Methods):
    """Output objects with a distribution of their own."""

    def encode(self, image):
        mean = self.a(image)
        return SimpleNamespace(latent_dist=SimpleNamespace(mode=lambda: mean, logvar=mean))

    def decode(self, latent):
        return SimpleNamespace(sample=self.b(latent))


class ChannelsLast(Methods):
    """`[N, H, W, C]` in, out and in the latent."""

    def encode(self, image):
        return self.a(image.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)

    def decode(self, latent):
        return self.b(latent.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class Multiples(Methods):
    """Sides must be multiples of four strides."""

    def encode(self, image):
        return functional.pixel_shuffle(functional.pixel_unshuffle(self.a(image), 4) * 2, 4)


class Digits(nn.Module):
    """Fully connected, 28x28."""

    def __init__(self):
        super().__init__()
        self.enc, self.dec = nn.Linear(784, 6), nn.Linear(6, 784)

    def encode(self, image):
        return self.enc(image.flatten(1))

    def decode(self, latent):
        return self.dec(latent).reshape(-1, 1, 28, 28)


class Positional(Methods):
    """A weight for every position: 64x64 pixels and no other size."""

    def __init__(self):
        super().__init__()
        self.position = nn.Parameter(torch.rand(1, 4, 8, 8))

    def encode(self, image):
        return self.a(image) + self.position


class Bytes(Methods):
    """Rounds to 8 bits itself."""

    def decode(self, latent):
        return self.b(latent).clamp(0, 1).mul(255).round().to(torch.uint8)


class Normalized(Methods):
    """Statistics over the whole image."""

    def __init__(self):
        super().__init__()
        self.norm = nn.GroupNorm(1, 4)


class Random(Methods):
    """Samples."""

    def encode(self, image):
        latent = self.a(image)
        return latent + torch.randn_like(latent)


class Skip(Methods):
    """The decoder uses what the encoder left behind."""

    def encode(self, image):
        self.kept = image
        return self.a(image)

    def decode(self, latent):
        return self.b(latent) + self.kept


class TwoLatents(Methods):
    """Two parts that nobody can tell apart."""

    def encode(self, image):
        return {"top": self.a(image), "bottom": self.a(image)}


class Smaller(Methods):
    """Gives back less than it took."""

    def decode(self, latent):
        return self.b(latent)[:, :, 1:, 1:]


class Baked(Methods):
    """A batch of one, and no other."""

    def encode(self, image):
        return self.a(image[:1]).expand(len(image), -1, -1, -1)


class Branching(Methods):
    """Decides by the values of the image."""

    def encode(self, image):
        return self.a(image) if float(image.mean()) > 0.5 else -self.a(image)


class Computed(Methods):
    """Keeps tensors that were computed: one of its weights, and one of every call."""

    def __init__(self):
        super().__init__()
        self.scale = self.a.weight.mean() + 1

    def encode(self, image):
        self.kept = [self.a(image) * self.scale]
        return self.kept[0]


class Uncopyable(Methods):
    """Keeps what cannot be copied."""

    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()


class Nameless(nn.Module):
    """No halves to be seen."""

    def __init__(self):
        super().__init__()
        self.first, self.second = down(), up()

    def forward(self, image):
        return self.second(self.first(image))


class TakesBytes(Methods):
    """Takes uint8 and nothing else, and names float32 in its code."""

    def encode(self, image):
        if image.dtype != torch.uint8:
            raise TypeError("expected uint8")
        return self.a(image.float() / 255)

    def decode(self, latent):
        return self.b(latent) * 255


class FlatDigits(nn.Module):
    """The halves of a tutorial: layers for flat images, which `forward` flattens."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(784, 16), nn.ReLU(), nn.Linear(16, 6))
        self.decoder = nn.Sequential(nn.Linear(6, 784), nn.Sigmoid())

    def forward(self, image):
        return self.decoder(self.encoder(image.flatten(1))).view_as(image)


class Inner(nn.Module):
    """Halves of a part."""

    def __init__(self):
        super().__init__()
        self.net = Plain()


class Inference(Methods):
    """Without gradients, for good."""

    @torch.inference_mode()
    def encode(self, image):
        return self.a(image)

    @torch.inference_mode()
    def decode(self, latent):
        return self.b(latent)


class OddDict(Methods):
    """Unusual names in both dicts."""

    def encode(self, image):
        return {"code": self.a(image), "extra": image}

    def decode(self, latent):
        return {"picture": self.b(latent), "extra": latent}


class Attention(Methods):
    """Every position looks at all others."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

    def encode(self, image):
        latent = self.a(image)
        tokens = latent.flatten(2).transpose(1, 2) * 3
        tokens = tokens + self.attention(tokens, tokens, tokens, need_weights=False)[0]
        return tokens.transpose(1, 2).reshape(latent.shape)


class HandsSkips(Methods):
    """The decoder wants what the encoder returns next to the latent."""

    def encode(self, image):
        return self.a(image), image

    def decode(self, latent, skip):
        return self.b(latent) + skip


class Moments(Methods):
    """Mean and variance in one tensor."""

    def encode(self, image):
        return torch.cat([self.a(image)] * 2, 1)


class Indices(Methods):
    """Positions in a codebook."""

    def __init__(self):
        super().__init__()
        self.book = nn.Embedding(8, 4)

    def encode(self, image):
        return torch.einsum("nchw,kc->nhwk", self.a(image), self.book.weight).argmax(3)

    def decode(self, latent):
        return self.b(self.book(latent.long()).permute(0, 3, 1, 2))


class Draws(Methods):
    """A random latent, and next to it the mean."""

    def encode(self, image):
        mean = self.a(image)
        return mean + torch.randn_like(mean), mean


class Deep(nn.Module):
    """Stride 16: residual blocks, batch and layer norms, bilinear upsampling, weight norm."""

    def __init__(self):
        super().__init__()
        norm = nn.utils.parametrizations.weight_norm
        self.analysis = nn.Sequential(
            nn.Conv2d(3, 8, 5, 2, 2, padding_mode="reflect"), nn.BatchNorm2d(8), nn.GELU(), Residual(8),
            nn.PixelUnshuffle(2), nn.Conv2d(32, 8, 1), ChannelNorm(8), norm(nn.Conv2d(8, 6, 4, 4)),
        )  # fmt: skip
        self.synthesis = nn.Sequential(
            nn.ConvTranspose2d(6, 8, 4, 4), nn.Hardswish(), nn.Upsample(scale_factor=2, mode="bilinear"),
            Residual(8), nn.Conv2d(8, 12, 3, padding=1), nn.PixelShuffle(2), nn.Sigmoid(),
        )  # fmt: skip


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.SiLU(), nn.Conv2d(width, width, 1))

    def forward(self, value):
        return value + self.layers(value)


class ChannelNorm(nn.LayerNorm):
    def forward(self, value):
        return super().forward(value.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
