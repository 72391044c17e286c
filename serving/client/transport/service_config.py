"""What gRPC is told about retries, balancing and health checks, as JSON.

The format is gRPC's service config (doc/service_config.md and service_config.proto of
github.com/grpc/grpc-proto).
"""

import json
from typing import Any


def service_config(max_attempts: int, *, balanced: bool) -> str:
    """The service config of a channel.

    Retries belong to gRPC, which knows whether a call may be repeated: one whose
    server is restarting or briefly overloaded is sent again after about 0.1, 0.2, 0.4
    and 0.8 s (each within 20 %, so that clients do not come back together). Its
    alternative, hedging (sending the call twice at once), is not in the C core that
    Python uses, and would double the work of a server that is slow already.

    Args:
        max_attempts: how often a call is sent, 1 to 5.
        balanced: spread the calls over all addresses, leaving out those whose server
            says that it is not serving.
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
                    # anything else would fail again, or has been computed already
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ]
        # A server that is overloaded for long must not get every call several times
        # (A6-client-retries.md, "Throttling"): a failure costs a token, a success
        # earns half of one, and below half of them nothing is repeated. The number
        # is gRPC's largest: many calls under way have to survive one restart.
        config["retryThrottling"] = {"maxTokens": 1000, "tokenRatio": 0.5}
    if balanced:
        config["loadBalancingConfig"] = [{"round_robin": {}}]
        # A17-client-side-health-checking.md: the server as a whole, grpc.health.v1.
        # One without that service, such as TensorFlow Serving, counts as healthy.
        config["healthCheckConfig"] = {"serviceName": ""}
    return json.dumps(config)
