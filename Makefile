# Everything a person or CI does here. `make help` lists it.

WORK ?= .work
VENV ?= .venv
SAMPLES ?=
T ?=
VERDICTS ?=
SEED ?= 1
COUNT ?= 20000
FUZZ_FILES ?=
REPO ?= $(WORK)/apt
# What a person gives reaches the program by the environment, so that no shell reads it once more. Nor does make:
# a dollar in a path is a dollar.
GIVEN = KEY REPO SAMPLES VENV VERDICTS WORK
$(foreach name,$(GIVEN),$(if $(filter command,$(origin $(name))),$(eval override $(name) := $$(value $(name)))))
export $(GIVEN)
# A C locale, as in many a container, would make of a path whatever it likes.
export PYTHONUTF8 = 1
# Set in many a container, it would have every process compile this code anew: a tenth of the time of a service.
unexport PYTHONDONTWRITEBYTECODE

PYTHON_RUN = $(VENV)/bin/python
EMBEDDED = $(PYTHON_RUN) -m deploy.local.embedded --work "$$WORK" $(if $(SAMPLES),--samples "$$SAMPLES") $(if $(VERDICTS),--verdicts "$$VERDICTS")
CLUSTER = $(PYTHON_RUN) -m deploy.local.cluster --work "$$WORK"
COMPILE = $(VENV)/bin/uv pip compile -q --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

.DEFAULT_GOAL := help
.PHONY: doctor before-embedded before-cluster help setup setup-dev run up down check test test-system test-browser test-cluster test-package test-soak test-all lint format docs lock images engine-up engine-down cluster-up cluster-run cluster-status cluster-logs cluster-scale cluster-down deb apt-repo release sign bench bench-features fuzz clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  WORK=DIR moves the work folder (default .work); SAMPLES=URL VERDICTS=FILE make run"
	@echo "  runs on your own files instead of the demo's."

doctor: ## Say what of this machine, shell and settings would get in the way; FOR=cluster JSON=1
	@sh deploy/scripts/doctor.sh --for "$${FOR:-embedded}" $(if $(JSON),--json)

before-embedded before-cluster:
	@sh deploy/scripts/doctor.sh --quiet --for $(@:before-%=%)

setup: ## Install what the bundle needs into .venv
	@sh deploy/scripts/setup.sh run

setup-dev:
	@sh deploy/scripts/setup.sh dev

run: before-embedded setup ## Update a corpus end to end in a real Airflow on this machine
	@exec $(EMBEDDED) run

up: before-embedded setup ## Start the same Airflow and keep it running, for its UI
	@exec $(EMBEDDED) up

down: setup ## Stop what `make up` started
	@exec $(EMBEDDED) down

check: lint ## Lint, type-check and run the tests marked fast, within a minute of one core
	@$(VENV)/bin/pytest -q -m fast

test: setup-dev $(if $(T),,lint) ## Lint, type-check and run the tests; T=PATH only the tests there, nothing else; COV=1 says what no test reached
	@$(VENV)/bin/pytest $(or $(T),-n $$(($$(nproc) + 1)) --dist loadfile --no-loadscope-reorder --durations=20 --durations-min=10) $(if $(COV),--cov --cov-report=term:skip-covered)

test-system: setup-dev ## Test the whole system, in browser, containers and packages, and at random: all suites side by side; FULL=1 all of each
	@sh tests/system/run.sh

test-browser: setup-dev ## Drive the real UI in Chromium, and keep screenshots
	@sh tests/system/run.sh browser

test-cluster: setup-dev ## Test the cluster in real containers, faults included
	@sh tests/system/run.sh cluster

test-package: setup-dev ## Test the package: its build, its contents, and its installation on hosts
	@sh tests/system/run.sh package

test-soak: setup-dev ## Trigger, clear, delete, pause, mark and kill at random until SEED's acts are done; SEED=1 ACTS=18, FULL=1 for 300 acts, PIECE=1/4 for a part of them
	@sh tests/system/soak/run.sh

test-all: test test-system ## Run every suite

lint: setup-dev ## Check style, types, the direction of imports, and spelling
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@MYPYPATH=bench:. $(VENV)/bin/mypy bench/*.py
	@$(VENV)/bin/lint-imports
	@$(PYTHON_RUN) bench/structure.py --check
	@$(VENV)/bin/codespell

format: setup-dev ## Format the code
	@$(VENV)/bin/ruff format .
	@$(VENV)/bin/ruff check --fix .

docs: setup ## Write docs/reference/settings.md and docs/develop/stable-names.md from the code
	@$(PYTHON_RUN) -m operators.settings --reference > docs/reference/settings.md
	@$(PYTHON_RUN) -m tests.support.stable_names

images: setup ## Build the cluster's images; IMAGES="services extractor" only these, BASE=IMAGE on another base, RENEW=1 with today's updates
	@exec $(PYTHON_RUN) -m deploy.build.images --work "$$WORK" $(if $(BASE),--base "$$BASE") $(if $(RENEW),--renew) $(IMAGES)

engine-up: ## Start a Docker engine if none answers
	@sh deploy/scripts/engine.sh up

engine-down: ## Stop the engine that engine-up started, unless systemd runs it
	@sh deploy/scripts/engine.sh down

cluster-up: before-cluster setup ## Start a cluster in containers; WORKERS=2 PORT=8080 PROJECT=corpus TAG=latest INIT=1 SAMPLES= VERDICTS=
	@exec $(CLUSTER) up $(if $(WORKERS),--workers "$$WORKERS") $(if $(PORT),--port "$$PORT") $(if $(PROJECT),--project "$$PROJECT") \
	  $(if $(TAG),--tag "$$TAG") $(if $(INIT),--init) $(if $(SAMPLES),--samples "$$SAMPLES") $(if $(VERDICTS),--verdicts "$$VERDICTS")

cluster-run: setup ## Update the corpus in the cluster, and follow the update to its end
	@exec $(CLUSTER) run

cluster-status: setup ## Show the cluster's services, workers, queue, last runs and what is left over
	@exec $(CLUSTER) status

cluster-logs: setup ## Show the logs of the cluster's services; SERVICE=worker FOLLOW=1
	@exec $(CLUSTER) logs $(if $(FOLLOW),--follow) $(SERVICE)

cluster-scale: setup ## Change the number of the cluster's workers; WORKERS=3
	@exec $(CLUSTER) scale $(if $(WORKERS),"$$WORKERS")

cluster-down: setup ## Stop the cluster; the data stays, except with PURGE=1
	@exec $(CLUSTER) down $(if $(PURGE),--purge)

deb: ## Build the Debian package of the last commit into dist/; WORKTREE=1 from the files as they are, NOCHECK=1 without tests
	@exec /usr/bin/python3 -m deploy.build.package build --work "$$WORK" $(if $(WORKTREE),--worktree) $(if $(NOCHECK),--nocheck)

apt-repo: ## Put packages into a signed apt repository; DEB=FILES (default: those in dist) KEY=FILE REPO=.work/apt
	@sh deploy/scripts/install.sh aptly gnupg
	@exec /usr/bin/python3 -m deploy.build.package repository --repo "$$REPO" $(if $(KEY),--key "$$KEY") $(or $(DEB),$(wildcard dist/*.deb))

ifneq (,$(filter release,$(MAKECMDGOALS)))
ifneq (,$(NOCHECK)$(WORKTREE))
$(error make release signs a commit that was tested: leave out NOCHECK and WORKTREE, which are for `make deb`)
endif
endif

define SIGN
@sh deploy/scripts/install.sh aptly gnupg
@exec /usr/bin/python3 -m deploy.build.package artifacts --repo "$$REPO" $(if $(KEY),--key "$$KEY") --installed "$(VENV)/lib/python3.11/site-packages"
endef

release: setup deb ## Put all parts of a release into dist: package, source, bill of materials, signed checksums, repository; KEY=FILE
	$(SIGN)

sign: ## Make a release of what `make deb` built, here or elsewhere: no code of others runs beside the key; KEY=FILE
	$(SIGN)

lock: setup-dev ## Resolve requirements/*.in into locks with hashes
	@. deploy/scripts/home.sh; for name in build run dev cluster; do \
	  $(COMPILE) --upgrade requirements/$$name.in -o requirements/$$name.lock || exit 1; done
	@. deploy/scripts/home.sh; for name in airflow services extractor; do \
	  $(COMPILE) -c requirements/run.lock requirements/$$name.in -o requirements/$$name.lock || exit 1; done

bench-features: setup-dev ## Measure ember-v3; REFERENCE=CHECKOUT [REFERENCE_PYTHON=PYTHON] also measures EMBER2024's own
	@$(PYTHON_RUN) bench/ember_v3.py $(if $(REFERENCE),--reference "$(REFERENCE)") $(if $(REFERENCE_PYTHON),--reference-python "$(REFERENCE_PYTHON)") $(BENCH_OPTIONS)

bench: setup-dev ## Measure what the docs claim, as ratios within one run
	@for script in bench/*.py; do echo "== $$script"; $(PYTHON_RUN) $$script || exit 1; done

fuzz: setup-dev ## Feed mutated executables to all feature sets; SEED=1 COUNT=20000
	@$(PYTHON_RUN) -m tests.support.fuzz --seed $(SEED) --count $(COUNT) --keep "$$WORK/fuzz" $(FUZZ_FILES)

clean: ## Remove the virtual environment and the work folder, WORK
	@rm -rf "$$VENV" "$$WORK"
