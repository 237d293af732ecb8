# shellcheck shell=sh
# Read by the tests that take a real Airflow: the release as a process of the cluster has it, with a home of its own.
python=${CORPUS_AIRFLOW_PYTHON:-/opt/airflow/bin/python}
if [ ! -x "$python" ]; then
    echo "SKIP: no Airflow at $python; CORPUS_AIRFLOW_PYTHON names an environment with requirements/run.lock"
    exit 77
fi
releases=/var/lib/corpus-airflow/releases
release=$(readlink -f "$releases/current")

export AIRFLOW_HOME="$AUTOPKGTEST_TMP/airflow"
export AIRFLOW__CORE__LOAD_EXAMPLES=False
export AIRFLOW__CORE__PLUGINS_FOLDER="$release/plugins"
export AIRFLOW__LOGGING__LOGGING_LEVEL=WARNING
export AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST="[{\"name\": \"corpus\",
  \"classpath\": \"operators.releases.bundle.ReleaseBundle\", \"kwargs\": {\"releases\": \"$releases\"}}]"
export NUMBA_CACHE_DIR="$AUTOPKGTEST_TMP/kernels"
export PYTHONPATH="$release" PYTHONDONTWRITEBYTECODE=1
cd "$AUTOPKGTEST_TMP"
