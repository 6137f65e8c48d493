"""A collector of OpenTelemetry: reads what is pushed strictly by the protocol's own messages, as their JSON mapping has them, and says each point and each span in a line."""

import base64
import http.server
import json

from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status


def attributes(of):
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in of.attributes}


def numbers(body):
    for resource in json_format.Parse(body, ExportMetricsServiceRequest(), ignore_unknown_fields=False).resource_metrics:
        names = attributes(resource.resource)
        for metric in resource.scope_metrics[0].metrics:
            kind = metric.WhichOneof("data")
            assert metric.name and metric.description and kind in ("gauge", "sum"), metric
            for point in getattr(metric, kind).data_points:
                assert point.time_unix_nano > 0 and (kind == "gauge" or 0 < point.start_time_unix_nano <= point.time_unix_nano)
                labels = ",".join(f"{key}={value}" for key, value in attributes(point).items())
                yield f"{names['service.name']}@{names['host.name']} {kind} {metric.name}{{{labels}}} {point.as_int}"


def ids(value):
    """OTLP writes ids in hex, where the mapping of the messages has base64."""
    if isinstance(value, list):
        return [ids(one) for one in value]
    if not isinstance(value, dict):
        return value
    named = lambda key, one: base64.b64encode(bytes.fromhex(one)).decode() if key.endswith("Id") else ids(one)
    return {key: named(key, one) for key, one in value.items()}


def spans(body):
    for resource in json_format.ParseDict(ids(json.loads(body)), ExportTraceServiceRequest(), ignore_unknown_fields=False).resource_spans:
        names = attributes(resource.resource)
        for span in resource.scope_spans[0].spans:
            assert len(span.trace_id) == 16 and len(span.span_id) == 8 and len(span.parent_span_id) in (0, 8), span
            assert 0 < span.start_time_unix_nano <= span.end_time_unix_nano and span.name, span
            assert span.trace_state == "ot=th:0", span
            said = {
                "service": f"{names['service.name']}@{names['host.name']}",
                "trace": span.trace_id.hex(),
                "span": span.span_id.hex(),
                "parent": span.parent_span_id.hex(),
                "name": span.name,
                "kind": Span.SpanKind.Name(span.kind),
                "status": Status.StatusCode.Name(span.status.code),
                "attributes": attributes(span),
                "events": {event.name: attributes(event) for event in span.events},
                "links": [link.trace_id.hex() for link in span.links],
            }
            yield "span " + json.dumps(said)


class Collector(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["Content-Type"] == "application/json", self.headers
        for line in {"/v1/metrics": numbers, "/v1/traces": spans}[self.path](body):
            print(line, flush=True)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")


server = http.server.ThreadingHTTPServer(("127.0.0.1", 4318), Collector)
print("ready", flush=True)
server.serve_forever()
