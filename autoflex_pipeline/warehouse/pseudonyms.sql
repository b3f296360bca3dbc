-- What analysts may see; the variables are set by pseudonyms.py, on its connection only.

CREATE OR REPLACE TEMP MACRO has_real_values(dealer) AS
    coalesce(list_contains(getvariable('full_dealers')::VARCHAR[], dealer), false);

-- HMAC (RFC 2104) written out, because DuckDB has SHA-256 but no HMAC; NULL without a key, never an unkeyed hash.
CREATE OR REPLACE TEMP MACRO pseudonym(dealer, field_name, value) AS
    sha256(
        getvariable('outer_pad') || unhex(sha256(
            getvariable('inner_pad') || encode(dealer || chr(31) || field_name || chr(31) || value)
        ))
    )[:getvariable('pseudonym_digits')];

-- The declared field at a path of Claire's document: customers[driver].last_name stands there as customers[].last_name.
CREATE OR REPLACE TEMP MACRO declared_as(claire_path) AS
    getvariable('claire_fields')[regexp_replace(claire_path, '\[[^\]]*\]', '[]', 'g')];

-- A field that is not declared counts as free text: nothing of it is shown.
CREATE OR REPLACE TEMP MACRO masked(dealer, field_name, value) AS
    CASE
        WHEN has_real_values(dealer) THEN value
        WHEN field_name = getvariable('postcode_field') THEN nullif(regexp_extract(value, '^\s*(\d{4})', 1), '')
        WHEN list_contains(getvariable('personal_fields')::VARCHAR[], field_name) THEN pseudonym(dealer, field_name, value)
        WHEN list_contains(getvariable('plain_fields')::VARCHAR[], field_name) THEN value
    END;

-- The same for a JSON value at a path of Claire's document. A list or an object may hold anything: left out.
CREATE OR REPLACE TEMP MACRO masked_json(dealer, claire_path, value) AS
    CASE
        WHEN json_type(value) IN ('ARRAY', 'OBJECT') THEN NULL::JSON
        WHEN list_contains(getvariable('plain_fields')::VARCHAR[], declared_as(claire_path)) THEN value
        ELSE to_json(masked(dealer, declared_as(claire_path), value ->> '$'))
    END;
