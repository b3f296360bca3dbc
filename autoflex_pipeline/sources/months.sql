-- A row per month asked for: how its backfill stands, and what is staged of it.
WITH wanted AS (SELECT unnest($months::VARCHAR[]) AS month),
staged AS (
    SELECT strftime(a.appointment_date, '%Y-%m') AS month, count(*) AS staged,
           count(*) FILTER (l.order_key IS NULL) AS without_lines
    FROM appointment a
    LEFT JOIN line_list l ON l.dealer_id = a.dealer_id AND l.order_key = a.dms_number
    WHERE a.dealer_id = $dealer
    GROUP BY ALL
)
SELECT w.month,
       CASE
           WHEN b.month IS NULL THEN 'never'
           WHEN b.error IS NULL THEN 'complete'
           WHEN b.completed_at IS NULL THEN 'failed'
           ELSE 'stale'
       END AS state,
       b.completed_at, b.tried_at, b.orders,
       coalesce(s.staged, 0) AS staged, coalesce(s.without_lines, 0) AS without_lines,
       b.error
FROM wanted w
LEFT JOIN backfilled_month b ON b.dealer_id = $dealer AND b.month = w.month
LEFT JOIN staged s ON s.month = w.month
ORDER BY w.month
