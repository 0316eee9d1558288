"""Answers searches by setools, for the tests to compare with: python3 sesearch_oracle.py POLICY < queries.

A query is a JSON object a line: kinds, source, source_direct, target, target_direct, classes, permissions, all, new,
booleans. The answer is a JSON list a line: each rule as [text without condition, booleans, whether they must hold].
"""
import json
import sys

import setools


class Prefiltered:
    """A policy whose list of rules is read once, and cut to kind and class before setools' own matching runs."""

    def __init__(self, policy):
        self.policy = policy
        self.by_kind_and_class = {}
        for rule in policy.terules():
            self.by_kind_and_class.setdefault((str(rule.ruletype), str(rule.tclass)), []).append(rule)
        self.kinds = []
        self.classes = []

    def __getattr__(self, name):
        return getattr(self.policy, name)

    def terules(self):
        for (kind, tclass), rules in self.by_kind_and_class.items():
            if (not self.kinds or kind in self.kinds) and (not self.classes or tclass in self.classes):
                yield from rules


def main():
    policy = Prefiltered(setools.SELinuxPolicy(sys.argv[1]))
    for line in sys.stdin:
        asked = json.loads(line)
        policy.kinds, policy.classes = asked["kinds"], asked["classes"]
        query = setools.TERuleQuery(
            policy,
            ruletype=asked["kinds"] or None,
            source=asked["source"],
            source_indirect=not asked["source_direct"],
            target=asked["target"],
            target_indirect=not asked["target_direct"],
            perms_subset=asked["all"],
            default=asked["new"],
        )
        if asked["classes"]:
            query.tclass = asked["classes"]
        if asked["permissions"]:
            query.perms = asked["permissions"]
        if asked["booleans"]:
            query.boolean = asked["booleans"]
        answer = []
        for rule in query.results():
            text = str(rule)
            try:
                booleans = sorted(str(b) for b in rule.conditional.booleans)
                branch = rule.conditional_block
                text = text[: text.rindex(" [ ")]
            except setools.exception.RuleNotConditional:
                booleans, branch = [], None
            answer.append([text, booleans, branch])
        print(json.dumps(answer), flush=True)


main()
