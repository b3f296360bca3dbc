"""How a party is made from a relation, and its rules."""

from __future__ import annotations

from autoflex_pipeline.staging.rules import Recipe, Rule, Severity

RECIPE = Recipe(
    "party",
    raws={
        "last_name": "concat_ws(' ', nullif(raw_last_name, ''), nullif(raw_last_name_2, ''))",
        "house_number": "concat_ws(' ', nullif(raw_house_number, ''), nullif(raw_house_number_2, ''))",
    },
    sources={
        # A tussenvoegsel alone is no name.
        "last_name": "CASE WHEN stripped(raw_last_name_2) IS NOT NULL THEN"
        " concat_ws(' ', stripped(raw_last_name), stripped(raw_last_name_2)) END",
        "house_number": "concat_ws(' ', stripped(raw_house_number), stripped(raw_house_number_2))",
    },
    # One of two names may be absent: what the other one says is taken, and the part that is not told is kept.
    kept={
        "last_name": "CASE WHEN read_last_name IS NULL OR ends_with(previous_last_name, ' ' || read_last_name)"
        " THEN previous_last_name ELSE read_last_name END",
        "house_number": "CASE WHEN read_house_number IS NULL"
        " OR starts_with(previous_house_number, read_house_number || ' ')"
        " THEN previous_house_number ELSE read_house_number END",
    },
    helpers={"dutch_postcode": "dutch_postcode(postcode_signs(read_postcode))"},
    values={"postcode": "coalesce(dutch_postcode, read_postcode)"},
    normalised={
        "postcode": "dutch_postcode IS NOT NULL",
        "last_name": "last_name IS DISTINCT FROM read_last_name",
        "house_number": "house_number IS DISTINCT FROM read_house_number",
    },
    rules=(
        Rule(
            "party_nameless",
            "company, last_name",
            Severity.REJECT,
            "company IS NULL AND last_name IS NULL",
            "Give the relation a company name or a last name in the DMS.",
            before="NULL",
        ),
        Rule(
            "postcode_normalised",
            "postcode",
            Severity.REPAIR,
            "dutch_postcode <> raw_postcode",
            "The postcode was written in the Dutch form; nothing to do.",
        ),
        Rule(
            "postcode_malformed",
            "postcode",
            Severity.WARN,
            # 1234-567 is a Portuguese one.
            "dutch_postcode IS NULL AND regexp_full_match(postcode, '[0-9]{4}[^0-9].*')"
            " AND NOT regexp_full_match(postcode, '[0-9]{4}-[0-9]{3}')",
            "The postcode looks Dutch and is not; check it in the DMS.",
        ),
    ),
)
