# Sourced by the `run` of a client in Python: makes a virtual environment with what requirements.txt lists, and sets
# PYTHON to its interpreter. Nothing is done when it is there already. PYTHON chooses another interpreter to begin with.

python_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$python_folder/../debian.sh"

venv=$INTEROP_HOME/venv
base=${PYTHON:-python3}
PYTHON=$venv/bin/python

need "$base -c 'import ensurepip, venv'" python3 python3-venv
if ! cmp --silent requirements.txt "$venv/requirements.installed" || ! "$PYTHON" --version >/dev/null 2>&1; then
    "$base" -m venv --clear "$venv" >&2
    retry "$PYTHON" -m pip install --quiet --retries 10 --timeout 60 --requirement requirements.txt >&2 ||
        unavailable "pip cannot install the client"
    cp requirements.txt "$venv/requirements.installed"
fi

# Programs find report.py beside this file.
PYTHONPATH=$python_folder
PYTHONDONTWRITEBYTECODE=1
export PYTHONPATH PYTHONDONTWRITEBYTECODE
