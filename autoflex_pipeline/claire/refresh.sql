-- Writes the rows of document that changed, from the temporary table projected; $now is the moment of the run.
CREATE OR REPLACE TEMP TABLE old_document AS
SELECT document.rowid AS stored_row, document.* FROM document SEMI JOIN wanted_document USING (dealer_id, dms_number);

CREATE OR REPLACE TEMP TABLE changed_document AS
WITH compared AS (
    SELECT
        f.dealer_id, f.dms_number, f.projection AS document_hash,
        NOT f.is_billed AS is_open,
        -- Once open, always owed; a version that was open between two comparisons counts too.
        coalesce(d.is_owed, false) OR NOT f.is_billed OR EXISTS (
            FROM appointment_past past
            WHERE past.dealer_id = f.dealer_id AND past.dms_number = f.dms_number AND NOT past.is_billed
        ) AS is_owed,
        f.appointment_date,
        coalesce(d.first_seen_at, f.observed_at) AS first_seen_at,
        d.document_hash AS old_hash, d.is_open AS old_open, d.is_owed AS old_owed, d.appointment_date AS old_date,
        d.changed_at
    FROM projected f
    LEFT JOIN old_document d ON d.dealer_id = f.dealer_id AND d.dms_number = f.dms_number
)
SELECT
    dealer_id, dms_number, document_hash, is_open, is_owed, appointment_date, first_seen_at,
    CASE WHEN document_hash IS DISTINCT FROM old_hash THEN $now ELSE changed_at END AS changed_at
FROM compared
WHERE document_hash IS DISTINCT FROM old_hash
    OR is_open IS DISTINCT FROM old_open
    OR is_owed IS DISTINCT FROM old_owed
    OR appointment_date IS DISTINCT FROM old_date;

-- Those to be replaced, and those whose appointment is no longer in staging (erased).
DELETE FROM document WHERE rowid IN (
    SELECT stored_row FROM old_document SEMI JOIN changed_document USING (dealer_id, dms_number)
    UNION ALL
    SELECT stored_row FROM old_document ANTI JOIN projected USING (dealer_id, dms_number)
);

INSERT INTO document BY NAME FROM changed_document;

DELETE FROM document_dirty USING dealer_zone z WHERE document_dirty.dealer_id = z.dealer_id;
