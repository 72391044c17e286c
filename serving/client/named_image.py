"""An image with the name that rows and errors show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fovea.serving.client.errors import ClientError
    from fovea.serving.client.images import ImageSource


@dataclass(frozen=True)
class NamedImage:
    """An image, or the reason why it cannot be read, and its name.

    Attributes:
        name: Name of the image in results and errors, such as "digits.npy[3]".
        image: The image as `Client.predict` takes it, or an error, which becomes the
            result of this image.
    """

    name: str
    image: ImageSource | ClientError
