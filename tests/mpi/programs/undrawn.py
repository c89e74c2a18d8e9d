"""`mld-closure run` without its pictures, which take most of the time of a short run: words follow."""

import sys

from mld_closure.cli.main import main
from mld_closure.study import outputs

outputs.draw = lambda *args: None
main(sys.argv[1:])
