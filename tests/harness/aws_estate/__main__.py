"""An estate of AWS, sown and read through the services' own APIs. It knows nothing of driftwarden: it is what driftwarden is held against.

    aws_estate --endpoint URL --places ACCOUNT/REGION,... seed [--scale 1.0] [--seed 1] [--writers 1]
    aws_estate --endpoint URL --places ACCOUNT/REGION,... truth [--kinds KIND,...]
    aws_estate --endpoint URL --places ACCOUNT/REGION,... drift [--kinds KIND,...]

`seed` makes about 2,100 resources at scale 1, the same for the same seed, and prints one JSON document: what was made, and what the
other side did not serve. `truth` prints a JSON line for each thing that is there: account, region (`-` for a global service), kind,
the primary identifier as CloudFormation names it, a name that is the same wherever the estate is sown, and attributes in CloudFormation's
words; and at the end a line with what was not served. `drift` changes things behind everybody's back, and prints a line for each change.
"""
import argparse
import json
import sys
import time

import drift
import place
import seed
import truth


def main():
    arguments = parse()
    tally = place.Tally()
    places = place.places(arguments.endpoint, arguments.places.split(","), tally)
    began = time.monotonic()
    if arguments.command == "seed":
        made = seed.sow(places, arguments.scale, arguments.seed, arguments.writers)
        say({"made": made, "calls": tally.calls, "seconds": round(time.monotonic() - began, 2), "unserved": tally.unserved()})
    elif arguments.command == "truth":
        for line in truth.tell(places, chosen(arguments.kinds)):
            say(line)
        say({"calls": tally.calls, "seconds": round(time.monotonic() - began, 2), "unserved": tally.unserved()})
    else:
        for line in drift.plant(places, chosen(arguments.kinds)):
            say(line)
        say({"unserved": tally.unserved()})


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--places", required=True)
    commands = parser.add_subparsers(dest="command", required=True)
    sow = commands.add_parser("seed")
    sow.add_argument("--scale", type=float, default=1.0)
    sow.add_argument("--seed", type=int, default=1)
    # Emulators that cannot bear two writers at once are the reason why there is a choice.
    sow.add_argument("--writers", type=int, default=1)
    commands.add_parser("truth").add_argument("--kinds", default="")
    commands.add_parser("drift").add_argument("--kinds", default="")
    return parser.parse_args()


def chosen(names):
    return set(names.split(",")) - {""} or None


def say(value):
    json.dump(value, sys.stdout, default=str, sort_keys=True)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
