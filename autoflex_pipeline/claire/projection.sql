-- The projection of each appointment in the temporary table wanted_document, set-based, into the temporary table
-- projected. Step by step: as one query the plan is guessed badly and takes three times as long.
-- The {…} are made from the field declarations: what becomes of the fields of each part, and of the parts together, is
-- their JSON text or, where that is all that is wanted, their hash (see documents.py).
--
-- Every zone changes its offset at a full quarter of an hour, so one lookup a quarter will do: an ASOF join of the
-- appointments themselves would sort their whole rows once for each moment.
CREATE OR REPLACE TEMP TABLE wanted_appointment AS
SELECT appointment.*, z.timezone
FROM appointment
SEMI JOIN wanted_document USING (dealer_id, dms_number)
JOIN dealer_zone z USING (dealer_id);

CREATE OR REPLACE TEMP TABLE quarter_offset AS
SELECT q.timezone, q.quarter, o.offset_us, o.offset_text
FROM (SELECT DISTINCT timezone, unnest([{quarters}]) AS quarter FROM wanted_appointment a) q
ASOF JOIN zone_offset o ON o.timezone = q.timezone AND q.quarter >= o.since_quarter;

CREATE OR REPLACE TEMP TABLE projected_head AS
SELECT
    a.dealer_id, a.dms_number, a.car_dms_number, a.contractor_dms_number,
    a.is_billed, a.appointment_date, a.observed_at,
    {appointment} AS fields
FROM wanted_appointment a
{zone_joins};

CREATE OR REPLACE TEMP TABLE read_completely AS
SELECT l.dealer_id, l.order_key, l.line_keys
FROM line_list l
SEMI JOIN wanted_document w ON w.dealer_id = l.dealer_id AND w.dms_number = l.order_key;

-- An inner join: an outer one with list_contains in its condition compares every line with every order.
-- Sorting the finished lists is ten times as fast here as an aggregate with ORDER BY.
CREATE OR REPLACE TEMP TABLE projected_lines AS
SELECT
    l.dealer_id, l.order_key,
    list_transform(list_sort(list(struct_pack(
        place := i.position,
        given := list_position(l.line_keys, i.dms_number),
        key := i.dms_number,
        fields := {intervention}
    ))), lambda line: line.fields) AS fields
FROM read_completely l
JOIN intervention i ON i.dealer_id = l.dealer_id AND i.appointment_dms_number = l.order_key
WHERE list_contains(l.line_keys, i.dms_number)
GROUP BY l.dealer_id, l.order_key;

CREATE OR REPLACE TEMP TABLE projected_car AS
SELECT
    c.dealer_id, c.dms_number, c.driver_dms_number, c.owner_dms_number,
    {car} AS fields
FROM car c
SEMI JOIN projected_head h ON h.dealer_id = c.dealer_id AND h.car_dms_number = c.dms_number;

CREATE OR REPLACE TEMP TABLE named_party AS
SELECT dealer_id, contractor_dms_number AS dms_number FROM projected_head
UNION SELECT dealer_id, driver_dms_number FROM projected_car
UNION SELECT dealer_id, owner_dms_number FROM projected_car;

CREATE OR REPLACE TEMP TABLE projected_party AS
SELECT p.dealer_id, p.dms_number, {party} AS fields
FROM party p
SEMI JOIN named_party n ON n.dealer_id = p.dealer_id AND n.dms_number = p.dms_number;

CREATE OR REPLACE TEMP TABLE projected AS
SELECT
    h.dealer_id, h.dms_number, h.is_billed, h.appointment_date, h.observed_at,
    {whole} AS projection
FROM projected_head h
LEFT JOIN read_completely known ON known.dealer_id = h.dealer_id AND known.order_key = h.dms_number
LEFT JOIN projected_lines l ON l.dealer_id = h.dealer_id AND l.order_key = h.dms_number
LEFT JOIN projected_car v ON v.dealer_id = h.dealer_id AND v.dms_number = h.car_dms_number
LEFT JOIN projected_party contractor
    ON contractor.dealer_id = h.dealer_id AND contractor.dms_number = h.contractor_dms_number
LEFT JOIN projected_party driver ON driver.dealer_id = h.dealer_id AND driver.dms_number = v.driver_dms_number
LEFT JOIN projected_party owner ON owner.dealer_id = h.dealer_id AND owner.dms_number = v.owner_dms_number;
