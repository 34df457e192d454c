"""`/api/v1/metrics`: the vital signs of the organization, this process's requests and its memory, as Prometheus and OpenTelemetry collectors scrape them.

Owns: the wire format (text exposition format 0.0.4). Does not own: which numbers (actions/vital_signs.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from litestar import Response, get
from litestar.plugins.prometheus import PrometheusConfig
from prometheus_client import REGISTRY, CollectorRegistry, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from governor.actions.context import Context
from governor.actions.vital_signs import Sign, vital_signs
from governor.api.bodies import raw_answer

TEXT: Final = "text/plain; version=0.0.4"  # Litestar adds the charset
# by the route's template: an address would be a series of its own for each call that somebody looks at
REQUESTS: Final = PrometheusConfig(app_name="governor", prefix="governor_http", group_path=True).middleware

disable_created_metrics()  # type: ignore[no-untyped-call]  # a series more for each counter, which nobody asks for


class VitalSigns(Collector):
    def __init__(self, signs: Iterable[Sign]) -> None:
        self.signs = signs

    def collect(self) -> Iterable[Metric]:
        for sign in self.signs:
            labels = sorted({name for given, _ in sign.samples for name in given})
            family = (CounterMetricFamily if sign.only_grows else GaugeMetricFamily)(f"governor_{sign.name}", sign.meaning, labels=labels)
            for given, value in sign.samples:
                family.add_metric([given[name] for name in labels], value)
            yield family


@get("/metrics", sync_to_thread=True, tags=["metrics"], operation_class=raw_answer("text/plain"))
def metrics(ctx: Context) -> Response[bytes]:
    """What to alarm on: work that waits, pushed bodies, sources, the ledger; requests and memory of this process. Answers while the lake does not."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(VitalSigns(vital_signs(ctx)))
    return Response(generate_latest(registry) + generate_latest(REGISTRY), media_type=TEXT)


ROUTES: Final = [metrics]
