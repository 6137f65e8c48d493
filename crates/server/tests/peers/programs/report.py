"""What parsedmarc reads in a report: report.py FILE."""

import json
import sys

import parsedmarc

print(json.dumps(parsedmarc.parse_report_file(sys.argv[1], offline=True), default=str))
