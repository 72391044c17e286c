"""The configuration of retries, balancing and health checks, as gRPC's JSON.

The format is gRPC's service config (doc/service_config.md and service_config.proto of
github.com/grpc/grpc-proto).
"""

import json
from typing import Any


def service_config(max_attempts: int, *, balanced: bool) -> str:
    """Return the service config of a channel.

    gRPC does the retries, since it knows whether a call may be repeated: a call to a
    server that is restarting or briefly overloaded is sent again after about 0.1, 0.2,
    0.4 and 0.8 s (each within 20 %, so that clients do not return simultaneously). The
    alternative, hedging (sending the call twice at once), is not in the C core that
    Python uses, and would double the load of a server that is slow already.

    Args:
        max_attempts: How often a call is sent, 1 to 5.
        balanced: Whether to balance calls over all addresses, except those whose server
            reports that it is not serving.

    Returns:
        A JSON document.
    """
    config: dict[str, Any] = {}
    if max_attempts > 1:
        config["methodConfig"] = [
            {
                "name": [{}],
                "retryPolicy": {
                    "maxAttempts": max_attempts,
                    "initialBackoff": "0.1s",
                    "maxBackoff": "1s",
                    "backoffMultiplier": 2,
                    # other errors would recur, or the result has been computed
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ]
        # A server that stays overloaded must not get every call several times
        # (A6-client-retries.md, "Throttling"): a failure costs a token, a success
        # earns half of one, and below half of the tokens nothing is retried. The
        # number is gRPC's maximum: many calls under way must survive one restart.
        config["retryThrottling"] = {"maxTokens": 1000, "tokenRatio": 0.5}
    if balanced:
        config["loadBalancingConfig"] = [{"round_robin": {}}]
        # A17-client-side-health-checking.md: the server as a whole, grpc.health.v1.
        # One without that service, such as TensorFlow Serving, counts as healthy.
        config["healthCheckConfig"] = {"serviceName": ""}
    return json.dumps(config)
