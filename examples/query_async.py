"""Send requests to several models at the same time, with asyncio.

python examples/query_async.py SERVER IMAGE MODEL...
"""

import asyncio
import sys

from fovea import AsyncClient


async def main(server: str, image: str, *models: str) -> None:
    async with AsyncClient(server) as client:
        predictions = await asyncio.gather(
            *(client.predict(image, model=model) for model in models)
        )
    for model, prediction in zip(models, predictions):
        print(f"{model}: {prediction.label} ({prediction.probability:.3f})")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
