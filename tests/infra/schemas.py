"""Prints AWS's registry schemas of resource types, as cfn-lint holds them: {type: schema}.

Usage: .venv/bin/python schemas.py TYPE...
"""
import json
import sys

from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

json.dump({name: PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", name).schema
           for name in sys.argv[1:]}, sys.stdout)
