# Everything a checkout can do. Each target installs what it needs first: see scripts/run, requirements/.
# LAB_KERNEL=fast boots the kernel of `make lab-kernel` in every lab and test instead of the package's.
# Run as root (sudo make ...): the lab makes namespaces and taps, and missing Debian packages are installed.

SITE ?= dr-two-nic
LAB  ?= default
export SITE LAB HOST NIC

# where the lab says how its hosts are reached: an inventory to put behind the site's own
CACHE         := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/linuxha-lvs
LAB_INVENTORY := $(CACHE)/labs/$(LAB)/inventory

# Ansible looks for collections by name: this link makes the checkout one
COLLECTION := build/collections/ansible_collections/linuxha/lvs
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/build/collections

CONTROLLER := scripts/run controller
TEST       := scripts/run test
FAST       := scripts/run fast
PHASE      := @scripts/phase
PLAYBOOK   := $(CONTROLLER) ansible-playbook -i playbooks/inventories/$(SITE)
LAB_CLI    := @$(CONTROLLER) env PYTHONPATH=plugins/module_utils python -m _lab.cli

MAKEFLAGS += --no-print-directory
.NOTPARALLEL:
.DEFAULT_GOAL := help

##@ See it work
.PHONY: demo demo-down site
demo: $(COLLECTION) ## boot the lab, build the site, crash the master, print the measured outage; leaves the lab up
	$(LAB_CLI) demo

demo-down: ## end the demo's lab, leave nothing behind
	$(LAB_CLI) down

site: $(COLLECTION) ## build SITE (default dr-two-nic) in the lab; ARGS="--check --diff" and the like go to Ansible
	@$(PLAYBOOK) -i $(LAB_INVENTORY) $(ARGS) playbooks/site.yml

##@ Use it
.PHONY: deploy agent artefact
deploy: $(COLLECTION) ## build SITE on its real hosts; ARGS="--check --diff" shows what would change
	@$(PLAYBOOK) $(ARGS) playbooks/site.yml

agent: ## lvs-agent as one file for any Python from 3.9 on: build/lvs-agent; as lvsctl it is that program
	@python3 scripts/agent_file.py build/lvs-agent
	@ln -sf lvs-agent build/lvsctl

artefact: ## the collection as one file: build/linuxha-lvs-VERSION.tar.gz
	@$(FAST) scripts/artefact
	@ls build/linuxha-lvs-*.tar.gz

##@ The lab: SITE=, LAB= (several can run side by side), HOST=, NIC=, ARGS=
LAB_VERBS := down status ssh crash boot freeze thaw pull plug partition heal netem
.PHONY: lab-up lab-kernel $(LAB_VERBS:%=lab-%)
lab-up: $(COLLECTION) ## boot a host for every host of SITE; LAB_KERNEL=fast: with the kernel of lab-kernel
	@$(PLAYBOOK) $(ARGS) playbooks/lab_up.yml
lab-kernel: $(COLLECTION) ## build a faster kernel for the hosts, once for a machine (10 to 20 minutes)
	@scripts/packages requirements/debian-lab-kernel.txt
	$(LAB_CLI) kernel

lab-down: ## end the lab: processes, namespace, taps, files
lab-status: ## its hosts, and how each is
lab-ssh: ## a shell on HOST; ARGS is a command to run there instead
lab-crash: ## HOST loses its power
lab-boot: ## HOST is switched on again
lab-freeze: ## HOST stands still
lab-thaw: ## and goes on
lab-pull: ## pull the cable out of NIC of HOST
lab-plug: ## plug it in again
lab-partition: ## cut HOST="a b ..." off from the others
lab-heal: ## end every partition, plug in every cable
lab-netem: ## ARGS="--loss PERCENT --delay-ms MS" on NIC of HOST; without ARGS back to normal
$(LAB_VERBS:%=lab-%): lab-%: $(COLLECTION)
	$(LAB_CLI) $* $(HOST) $(NIC) $(ARGS)

##@ Tests
GATE := $(TEST) python scripts/gate.py
.PHONY: test test-all test-fast machine lint docs-lint docs sanity importer molecule unit unit-fast unit-host integration measured long bench core-2.18 sanity-core-2.18 core-newest sanity-core-newest
test: $(COLLECTION) ## all that CI runs; ends with a table of its parts, the slowest tests, pytest's closing lines
	@$(GATE) test

test-all: $(COLLECTION) ## all proofs, one part at a time; started again it continues; ARGS=--fresh starts from the front
	@$(GATE) all $(ARGS)

test-fast: $(COLLECTION) ## lint and unit tests, under a minute; needs neither root nor the lab's packages
	@scripts/run fast python scripts/gate.py fast

machine: ## how quick this machine is at what the lab lives on
	@$(TEST) env PYTHONPATH=plugins/module_utils python tests/support/machine_speed.py

LINTERS := shellcheck ruff vermin mypy yamllint ansible-lint
.PHONY: $(LINTERS)
lint: $(LINTERS) ## shellcheck, ruff, vermin, mypy, yamllint, ansible-lint (production); each is a target too
shellcheck:
	$(PHASE) $@ $(FAST) $@ .ci/run $(filter-out %.py %__pycache__,$(wildcard scripts/*))
ruff:
	$(PHASE) $@ $(FAST) $@ check --quiet --output-format concise .
vermin: # a target's Python is 3.9 or newer; mypy no longer knows 3.9
	$(PHASE) $@ $(FAST) $@ -q --no-tips --violations -t=3.9- plugins roles
mypy: $(COLLECTION)
	$(PHASE) $@ $(FAST) $@
yamllint:
	$(PHASE) $@ $(FAST) $@ --strict .
ansible-lint: $(COLLECTION)
	$(PHASE) $@ $(FAST) $@ -q --nocolor

docs-lint: $(COLLECTION) ## the plugins' documentation and the changelog's fragments
	$(PHASE) antsibull-docs $(FAST) antsibull-docs lint-collection-docs --plugin-docs --skip-rstcheck \
	    --validate-collection-refs self .
	$(PHASE) antsibull-changelog $(FAST) antsibull-changelog lint

docs: $(COLLECTION) ## the pages of every module, filter and role: build/docs/html/index.html
	$(PHASE) $@ $(TEST) scripts/docs

sanity: ## ansible-test sanity over the built collection, without an ignore
	$(PHASE) sanity $(TEST) scripts/sanity

importer: ## what the registry would say of the built collection; a warning fails
	$(PHASE) importer $(TEST) scripts/importer

SCENARIOS := $(patsubst molecule/%/molecule.yml,%,$(wildcard molecule/*/molecule.yml))
SCENARIO  ?= $(SCENARIOS)
.PHONY: molecule $(SCENARIOS:%=molecule-%)
molecule: $(SCENARIO:%=molecule-%) ## every scenario, or SCENARIO=engines, in a lab of its own each
$(SCENARIOS:%=molecule-%): $(COLLECTION)
	$(PHASE) $@ $(TEST) scripts/scenario $(@:molecule-%=%)

unit: $(COLLECTION) ## unit tests: no root, no kernel, no packages of the lab; on all cores
	@$(FAST) python -m pytest -n auto -m "not host and not long" tests/unit $(ARGS)

unit-fast: $(COLLECTION) ## those of test-fast: without the ones of many thousand inputs
	@$(FAST) python -m pytest -n auto -m "not host and not long and not exhaustive" tests/unit $(ARGS)

core-2.18: $(COLLECTION) ## the unit tests that load Ansible, on the oldest ansible-core that is supported
	$(PHASE) $@ scripts/run core-2.18 python -m pytest -n 2 -m "not host and not long" \
	    tests/unit/filter tests/unit/modules tests/unit/agent tests/unit/test_roles.py $(ARGS)

sanity-core-2.18: ## ansible-test sanity of that ansible-core
	$(PHASE) $@ scripts/run core-2.18 scripts/sanity

core-newest: $(COLLECTION) ## the same unit tests on the newest ansible-core, which needs Debian 13's Python
	$(PHASE) $@ scripts/newest python -m pytest -n 2 -m "not host and not long" \
	    tests/unit/filter tests/unit/modules tests/unit/agent tests/unit/test_roles.py $(ARGS)

sanity-core-newest: ## ansible-test sanity of that ansible-core
	$(PHASE) $@ scripts/newest scripts/sanity

unit-host: $(COLLECTION) ## those of them that ask keepalived, tcpdump or systemd
	@$(TEST) python -m pytest -n auto -m "host and not long" tests/unit $(ARGS)

# Two files at a time: they wait for timers more than they compute, and what a file has booted its tests share. What
# measures times has the machine to itself.
integration: $(COLLECTION) ## tests against this machine's kernel and guests' kernels; needs root
	@$(TEST) python -m pytest -n 2 --dist loadfile -m "not measured and not long" tests/integration $(ARGS)

measured: $(COLLECTION) ## those of them that measure times, one at a time
	@$(TEST) python -m pytest -m "measured and not long" tests/integration $(ARGS)

long: $(COLLECTION) ## the long proofs, which `make test` leaves to `make test-all`
	@$(TEST) python -m pytest -m long tests $(ARGS)

bench: $(COLLECTION) ## the figures, beside keepalived's and ipvsadm's; written to build/bench
	@$(TEST) python -m pytest tests/bench $(ARGS)

##@ The house
.PHONY: changelog format clean help
changelog: ## turn the fragments into CHANGELOG.md, under the version in galaxy.yml
	@$(TEST) antsibull-changelog release --update-existing --reload-plugins

format: ## what ruff can mend by itself
	@$(TEST) ruff check --fix --quiet .

clean: ## forget what was built here; the lab's images and Python environments stay in ~/.cache/linuxha-lvs
	@rm -rf build .ansible tests/output .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(COLLECTION):
	@mkdir -p $(@D) && ln -sfn ../../../.. $@

help: ## this list
	@awk 'BEGIN { FS = ":.*## " } /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	    /^[a-z-]+:.*## / { printf "  %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
