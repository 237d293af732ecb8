"""Arguments of a ContainerOperator; tests/system/cluster/containers has it at work."""

from __future__ import annotations

import inspect
import json

import pytest
from airflow.providers.docker.operators.docker import DockerOperator
from airflow.sdk import DAG, BaseOperator
from airflow.serialization.serialized_objects import DagSerialization

from corpus.errors import BadInputError
from operators import ContainerOperator
from operators.container import REFUSED


def test_takes_or_refuses_each_argument_of_docker_operator() -> None:
    theirs = inspect.signature(DockerOperator.__init__).parameters
    ours = inspect.signature(ContainerOperator.__init__).parameters
    renamed = {"cpus", "kwargs", "self"}
    assert set(theirs) - set(ours) - renamed == set(REFUSED)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_says_what_to_do_instead(name: str) -> None:
    with pytest.raises(BadInputError) as caught:
        ContainerOperator(task_id="t", image="i", **{name: {"A": "s3cret"}})
    assert name in str(caught.value)
    assert caught.value.hint
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["TOKENIZERS_PARALLELISM", "MAX_TOKENS", "BYPASS_CACHE", "SORT_KEYS", "GROUP_KEY", "KEYS",
     "COMPASS", "PRIVATE_NETWORK", "SECRETARY", "KEYBOARD", "AWS_REGION"],
)  # fmt: skip
def test_a_variable_that_is_no_secret_is_taken(name: str) -> None:
    ContainerOperator(task_id="t", image="i", environment={name: "value"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            (name, "s3cret")
            for name in (
                "PGPASSWORD",
                "dbPassword",
                "MYSQL_PWD",
                "DB_PASS",
                "GPG_PASSPHRASE",
                "TOKEN",
                "hf-token",
                "CLIENT_SECRETS",
                "SECRET_NAME",
                "GOOGLE_APPLICATION_CREDENTIALS",
                "DJANGO_SECRET_KEY",
                "SSH_PRIVATE_KEY",
                "OPENAI_API_KEY",
                "APIKEY",
                "KEY",
                "SSHPASS",
                "AWS_ACCESS_KEY",
                "ACCOUNTKEY",
            )
        ),
        ("DB_PASSWORD", "s3cret"),
        ("aws_secret_access_key", "s3cret"),
        ("GITHUB_TOKEN", "s3cret"),
        ("DATABASE", "postgres://user:s3cret@host/db"),
    ],
)
def test_a_variable_that_looks_like_a_secret_is_refused(name: str, value: str) -> None:
    with pytest.raises(BadInputError, match=name) as caught:
        ContainerOperator(task_id="t", image="i", environment={name: value})
    assert "s3cret" not in str(caught.value)
    assert "files" in str(caught.value.hint)


@pytest.mark.parametrize("bind", ["folder:/x", "/a", "/a:b", "/a:/b:rwx"])
def test_a_bind_that_is_none(bind: str) -> None:
    with pytest.raises(BadInputError, match="binds"):
        ContainerOperator(task_id="t", image="i", binds=[bind])


def test_what_it_is_given_is_what_is_kept_of_it() -> None:
    """Paths of secrets, limits and binds are nobody's business who may only look at a DAG."""
    with DAG("kept") as dag:
        ContainerOperator(
            task_id="t",
            image="i",
            command="a 'b c'",
            environment={"A": "1"},
            secrets="/secrets",
            binds=["/a:/b"],
        )
    assert isinstance(dag.get_task("t"), BaseOperator)
    kept = json.dumps(DagSerialization.to_dict(dag))
    assert "a 'b c'" in kept
    assert "/secrets" not in kept
    assert "/a:/b" not in kept
