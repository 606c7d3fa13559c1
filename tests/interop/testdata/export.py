"""What DuckDB, Polars and pyarrow find in the files of an export, as JSON.

Usage: export.py PARQUET-FOLDER ARROW-FOLDER CSV-FOLDER
"""

import glob
import json
import sys

import duckdb
import polars
import pyarrow.ipc
import pyarrow.parquet

parquet, arrow, csv = sys.argv[1:]
files = sorted(glob.glob(parquet + "/**/*.parquet", recursive=True))
schema = pyarrow.parquet.read_schema(files[0])
labels = {f.name: f.metadata[b"label"].decode() for f in schema if f.metadata and b"label" in f.metadata}

# Floats of each series: how many, their sum, and the last one.
columns = ", ".join('"%s"' % name for name in labels)
rows = duckdb.sql(
    f"SELECT {columns}, count(value), fsum(value), arg_max(value, timestamp), max(epoch_ms(timestamp)) "
    f"FROM read_parquet({files}, hive_partitioning = false) WHERE value IS NOT NULL GROUP BY {columns}"
).fetchall()
series = [
    {
        "labels": {n: v for n, v in zip(labels.values(), row) if v is not None},
        "count": row[-4],
        "sum": str(row[-3]),
        "last": str(row[-2]),
        "at": row[-1],
    }
    for row in rows
]

# The same rows by the other readers, and histograms by their observations.
frame = polars.read_parquet(files, hive_partitioning=False)
batches = [pyarrow.ipc.open_stream(f).read_all() for f in glob.glob(arrow + "/*.arrows")]
text = duckdb.sql(f"SELECT count(*) FROM read_csv('{csv}/*.csv', all_varchar = true)").fetchall()[0][0]
histograms = frame.filter(polars.col("histogram").is_not_null())
json.dump(
    {
        "series": series,
        "polars": frame.height,
        "pyarrow": sum(pyarrow.parquet.read_table(f).num_rows for f in files),
        "arrow": sum(batch.num_rows for batch in batches),
        "csv": text,
        "histograms": histograms.height,
        "observations": histograms.select(polars.col("histogram").struct.field("count")).sum().item(),
        "duckdb": duckdb.sql(f"SELECT count(*) FROM read_parquet({files})").fetchall()[0][0],
    },
    sys.stdout,
)
