"""A collector of OpenTelemetry: reads what is pushed strictly by the protocol's own messages, as their JSON mapping has them, and says each point in a line."""

import http.server

from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest


class Collector(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path == "/v1/metrics" and self.headers["Content-Type"] == "application/json", self.path
        pushed = json_format.Parse(body, ExportMetricsServiceRequest(), ignore_unknown_fields=False)
        for resource in pushed.resource_metrics:
            names = {one.key: one.value.string_value for one in resource.resource.attributes}
            for metric in resource.scope_metrics[0].metrics:
                kind = metric.WhichOneof("data")
                assert metric.name and metric.description and kind in ("gauge", "sum"), metric
                for point in getattr(metric, kind).data_points:
                    assert point.time_unix_nano > 0 and (kind == "gauge" or 0 < point.start_time_unix_nano <= point.time_unix_nano)
                    labels = ",".join(f"{one.key}={one.value.string_value}" for one in point.attributes)
                    print(f"{names['service.name']}@{names['host.name']} {kind} {metric.name}{{{labels}}} {point.as_int}", flush=True)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")


server = http.server.HTTPServer(("127.0.0.1", 4318), Collector)
print("ready", flush=True)
server.serve_forever()
