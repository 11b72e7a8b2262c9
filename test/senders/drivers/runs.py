# runs.py: what the drivers written in Python share, as runs.mjs does for Node: they read a list of sendings from the file that
# they are given, send one after the other and print what each was answered. One that ends in an error has status 0 and the error.
import json
import sys


def run(send):
    def outcome_of(sending):
        try:
            return send(sending)
        except Exception as error:
            return {"status": 0, "text": repr(error)}

    with open(sys.argv[1], encoding="utf-8") as list_of_sendings:
        print(json.dumps([outcome_of(sending) for sending in json.load(list_of_sendings)]))
