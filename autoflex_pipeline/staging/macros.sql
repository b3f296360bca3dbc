-- How a text of the DMS is read: one macro a thing. All give NULL for what they cannot read, and never fail.
-- A macro's argument is written out wherever the macro names it, so what is cheap comes first and regexes come last.

-- Text in one line: without control characters, outer and doubled spaces. A line break or tab parts words as a space
-- does.
CREATE OR REPLACE TEMP MACRO tidy_line(x) AS
    trim(
        regexp_replace(
            regexp_replace(x, '[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x{80}-\x{9f}]', '', 'g'),
            '[ \t\r\n]{2,}|[\t\r\n]', ' ', 'g'
        ),
        ' '
    );

-- Text whose line breaks (as \n) and tabs are meant.
CREATE OR REPLACE TEMP MACRO tidy_notes(x) AS
    trim(
        regexp_replace(
            regexp_replace(
                regexp_replace(x, '\r\n?', chr(10), 'g'), '[\x00-\x08\x0b-\x1f\x7f\x{80}-\x{9f}]', '', 'g'
            ),
            ' {2,}', ' ', 'g'
        ),
        ' '
    );

CREATE OR REPLACE TEMP MACRO is_too_long(x) AS CASE WHEN strlen(x) > 10000 THEN length(x) > 10000 ELSE false END;

-- At most 10,000 characters, the mark included.
CREATE OR REPLACE TEMP MACRO cut(x) AS CASE WHEN is_too_long(x) THEN left(x, 9999) || '…' ELSE x END;

-- NULL when nothing but white space is left.
CREATE OR REPLACE TEMP MACRO unless_blank(x) AS CASE WHEN trim(x, E' \t\r\n') <> '' THEN x END;

-- odd: the record holds something that tidying may change; most do not, and tidying costs regexes.
CREATE OR REPLACE TEMP MACRO line_text(x, odd) AS
    CASE WHEN odd OR starts_with(x, ' ') OR ends_with(x, ' ') THEN tidy_line(x) ELSE x END;
CREATE OR REPLACE TEMP MACRO notes_text(x, odd) AS
    CASE WHEN odd OR starts_with(x, ' ') OR ends_with(x, ' ') THEN tidy_notes(x) ELSE x END;

CREATE OR REPLACE TEMP MACRO stripped(x) AS nullif(trim(x), '');

-- From here on x is a text that is tidy or stripped already.

CREATE OR REPLACE TEMP MACRO read_flag(x) AS
    CASE
        WHEN x = '0' THEN false
        WHEN x = '1' THEN true
        WHEN lower(x) IN ('false', 'n', 'nee') THEN false
        WHEN lower(x) IN ('true', 'j', 'ja') THEN true
    END;

-- Whole numbers. Points are not read as thousands: 123.456 may be either.
CREATE OR REPLACE TEMP MACRO read_whole(x) AS
    CASE WHEN regexp_full_match(x, '[+-]?[0-9]{1,30}(\.0+)?') THEN try_cast(split_part(x, '.', 1) AS HUGEINT) END;

-- A number as plain text: 389, 389.00, 49,50, 1.234,56, 1.234.567. A single point is the decimal point.
CREATE OR REPLACE TEMP MACRO plain_number(x) AS
    CASE
        WHEN regexp_full_match(x, '[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?') THEN x
        WHEN regexp_full_match(x, '[+-]?[0-9]+,[0-9]+') THEN replace(x, ',', '.')
        WHEN regexp_full_match(x, '[+-]?[0-9]{1,3}(\.[0-9]{3})+(,[0-9]+)?') THEN replace(replace(x, '.', ''), ',', '.')
    END;

-- Local time as TIMESTAMP. One format is tried, chosen by length: a list of formats costs a try each.
CREATE OR REPLACE TEMP MACRO read_local(x) AS
    CASE strlen(x)
        WHEN 8 THEN try_strptime(x, '%Y%m%d')
        WHEN 10 THEN CASE WHEN substr(x, 5, 1) = '-' THEN try_strptime(x, '%Y-%m-%d') ELSE try_strptime(x, '%d-%m-%Y') END
        WHEN 15 THEN try_strptime(x, '%Y%m%dT%H%M%S')
        WHEN 16 THEN
            CASE WHEN substr(x, 5, 1) = '-' THEN try_strptime(replace(x, ' ', 'T'), '%Y-%m-%dT%H:%M')
                ELSE try_strptime(replace(x, ' ', 'T'), '%d-%m-%YT%H:%M') END
        WHEN 19 THEN
            CASE WHEN substr(x, 5, 1) = '-' THEN try_strptime(replace(x, ' ', 'T'), '%Y-%m-%dT%H:%M:%S')
                ELSE try_strptime(replace(x, ' ', 'T'), '%d-%m-%YT%H:%M:%S') END
    END;
CREATE OR REPLACE TEMP MACRO is_day_only(x) AS strlen(x) <= 10;

-- The moment of a local time; from, until, before_us and after_us are those of its day (see clock.py).
CREATE OR REPLACE TEMP MACRO moment_of(local, until, before_us, after_us) AS
    make_timestamptz(epoch_us(local) - CASE WHEN local >= until THEN after_us ELSE before_us END);

-- The 14 Dutch sidecodes, current and historic, by their shape; NULL for any other plate. The shape 99XX9X is none of
-- them, but the page of rules names 12ab3c, 12-AB-3C and 12 AB 3 C as one plate, so it is one here.
CREATE OR REPLACE TEMP MACRO plate_shape(x) AS
    translate(x, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789', 'XXXXXXXXXXXXXXXXXXXXXXXXXX9999999999');
CREATE OR REPLACE TEMP MACRO plate_signs(x) AS upper(translate(x, ' !"#$%&''()*+,-./:;<=>?@[\]^_`{|}~–—·', ''));
CREATE OR REPLACE TEMP MACRO dutch_plate(signs) AS
    CASE plate_shape(signs)
        WHEN 'XX9999' THEN substr(signs, 1, 2) || '-' || substr(signs, 3, 2) || '-' || substr(signs, 5, 2)
        WHEN '9999XX' THEN substr(signs, 1, 2) || '-' || substr(signs, 3, 2) || '-' || substr(signs, 5, 2)
        WHEN '99XX99' THEN substr(signs, 1, 2) || '-' || substr(signs, 3, 2) || '-' || substr(signs, 5, 2)
        WHEN 'XX99XX' THEN substr(signs, 1, 2) || '-' || substr(signs, 3, 2) || '-' || substr(signs, 5, 2)
        WHEN 'XXXX99' THEN substr(signs, 1, 2) || '-' || substr(signs, 3, 2) || '-' || substr(signs, 5, 2)
        WHEN '99XXXX' THEN substr(signs, 1, 2) || '-' || substr(signs, 3, 2) || '-' || substr(signs, 5, 2)
        WHEN '99XXX9' THEN substr(signs, 1, 2) || '-' || substr(signs, 3, 3) || '-' || substr(signs, 6, 1)
        WHEN '9XXX99' THEN substr(signs, 1, 1) || '-' || substr(signs, 2, 3) || '-' || substr(signs, 5, 2)
        WHEN 'XX999X' THEN substr(signs, 1, 2) || '-' || substr(signs, 3, 3) || '-' || substr(signs, 6, 1)
        WHEN 'X999XX' THEN substr(signs, 1, 1) || '-' || substr(signs, 2, 3) || '-' || substr(signs, 5, 2)
        WHEN 'XXX99X' THEN substr(signs, 1, 3) || '-' || substr(signs, 4, 2) || '-' || substr(signs, 6, 1)
        WHEN 'X99XXX' THEN substr(signs, 1, 1) || '-' || substr(signs, 2, 2) || '-' || substr(signs, 4, 3)
        WHEN '9XX999' THEN substr(signs, 1, 1) || '-' || substr(signs, 2, 2) || '-' || substr(signs, 4, 3)
        WHEN '99XX9X' THEN substr(signs, 1, 2) || '-' || substr(signs, 3, 2) || '-' || substr(signs, 5, 2)
        WHEN '999XX9' THEN substr(signs, 1, 3) || '-' || substr(signs, 4, 2) || '-' || substr(signs, 6, 1)
    END;

-- 1234 AB: no leading zero, and not SA, SD or SS.
CREATE OR REPLACE TEMP MACRO postcode_signs(x) AS upper(replace(replace(x, ' ', ''), '-', ''));
CREATE OR REPLACE TEMP MACRO dutch_postcode(signs) AS
    CASE WHEN regexp_full_match(signs, '[1-9][0-9]{3}[A-Z]{2}') AND substr(signs, 5, 2) NOT IN ('SA', 'SD', 'SS')
        THEN substr(signs, 1, 4) || ' ' || substr(signs, 5, 2) END;
