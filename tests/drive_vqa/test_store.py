import pickle

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from drive_vqa.errors import StoreError
from drive_vqa.schema import TABLES, table_from_rows
from drive_vqa.store import MANIFEST, Store, fingerprint, read_table, relative_source, replacing


def _logs(log_id, source_root="."):
    return table_from_rows("logs", [{"log_id": log_id, "source_format": "nuscenes", "source_root": source_root}])


@pytest.fixture
def store(tmp_path):
    store = Store.create(tmp_path / "store")
    store.write("logs", "log-1", _logs("log-1"), "f1")
    return store


@pytest.mark.parametrize("name", sorted(TABLES))
def test_every_table_round_trips(tmp_path, name):
    store = Store.create(tmp_path / "store")
    table = table_from_rows(name, [{}, {}])
    store.write(name, "log-1", table, "f")
    assert store.read(name, "log-1").equals(table)


def test_fingerprint_decides_what_is_current(store):
    assert store.is_current("logs", "log-1", "f1")
    assert not store.is_current("logs", "log-1", "f2")
    assert not store.is_current("logs", "log-2", "f1")
    assert fingerprint("fuse", {"a": 1}, {"x": "y"}) == fingerprint("fuse", {"a": 1}, {"x": "y"})
    assert fingerprint("fuse", {"a": 1}, {"x": "y"}) != fingerprint("fuse", {"a": 2}, {"x": "y"})
    assert fingerprint("fuse", {"a": 1}, {"x": "y"}) != fingerprint("fuse", {"a": 1}, {"x": "z"})


def test_equal_content_gives_equal_bytes(tmp_path):
    contents = []
    for name in ("a", "b"):
        store = Store.create(tmp_path / name)
        store.write("logs", "log-1", _logs("log-1"), "f1")
        store.write_manifest("ingest", {"format": "nuscenes"})
        contents.append([(path.name, path.read_bytes()) for path in sorted(store.root.rglob("*")) if path.is_file()])
    assert contents[0] == contents[1]


def test_manifest_counts_rows_and_keeps_earlier_steps(store):
    store.write_manifest("ingest", {"format": "nuscenes"})
    store.write_manifest("fuse", {"source": "annotations"})
    manifest = store.manifest()
    assert set(manifest["steps"]) == {"ingest", "fuse"}
    assert manifest["tables"]["logs"]["log-1"]["rows"] == 1
    assert manifest["tables"]["logs"]["log-1"]["sha256"] == store.digest("logs", "log-1")


@pytest.mark.parametrize("log_id", ["../evil", "a/b", "", ".hidden", "x" * 200, "a\x00b", "a b"])
def test_log_names_cannot_leave_the_store(store, log_id):
    with pytest.raises(StoreError, match="file name"):
        store.path("logs", log_id)


def test_a_log_that_is_ingested_from_elsewhere_is_looked_for_there(tmp_path):
    store = Store.create(tmp_path / "store")
    for place in ("here", "there", "here"):
        (tmp_path / place).mkdir(exist_ok=True)
        store.write("logs", "log-1", _logs("log-1", f"../{place}"), "x")
        assert store.source_root("log-1") == (tmp_path / place).resolve()
    with pytest.raises(StoreError, match="drive-vqa ingest"):
        store.source_root("log-2")


def test_media_path_stays_inside_the_source(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "image.jpg").touch()
    (tmp_path / "secret").touch()
    store = Store.create(tmp_path / "store")
    store.write("logs", "log-1", _logs("log-1", relative_source(source, store.root)), "f")
    assert store.media_path("log-1", "image.jpg") == (source / "image.jpg").resolve()
    for path in ("../secret", str(tmp_path / "secret"), "a/../../secret"):
        with pytest.raises(StoreError, match="outside"):
            store.media_path("log-1", path)
    with pytest.raises(StoreError, match="missing"):
        store.media_path("log-1", "gone.jpg")


def test_a_failed_write_leaves_nothing(tmp_path):
    target = tmp_path / "file"
    with pytest.raises(RuntimeError), replacing(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_other_folders_are_not_taken_for_stores(tmp_path):
    (tmp_path / "holiday.txt").touch()
    with pytest.raises(StoreError, match="not a drive-vqa store"):
        Store.create(tmp_path)
    with pytest.raises(StoreError, match="drive-vqa ingest"):
        Store.open(tmp_path)


def test_a_killed_first_ingest_can_be_repeated(tmp_path):
    (Store.create(tmp_path / "store").root / "frames").mkdir()
    with pytest.raises(StoreError, match="ingest"):
        Store.open(tmp_path / "store")
    assert Store.create(tmp_path / "store").log_ids() == []


def test_damaged_files_are_named(store):
    path = store.path("logs", "log-1")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(StoreError, match="log-1.parquet"):
        store.read("logs", "log-1")
    (store.root / MANIFEST).write_text("{")
    with pytest.raises(StoreError, match="manifest.json"):
        store.manifest()


def test_another_major_version_is_refused(store):
    path = store.path("logs", "log-1")
    table = pq.read_table(path).replace_schema_metadata({"drive_vqa.schema_version": "99.0"})
    pq.write_table(table, path)
    with pytest.raises(StoreError, match="99.0"):
        store.read("logs", "log-1")


def test_another_table_under_the_name_is_refused(tmp_path):
    pq.write_table(pa.table({"x": [1]}), tmp_path / "t.parquet")
    with pytest.raises(StoreError, match="columns"):
        read_table(tmp_path / "t.parquet", "logs")


def test_missing_tables_say_how_to_make_them(store):
    with pytest.raises(StoreError, match="drive-vqa fuse"):
        store.read("tracks", "log-1")


def test_unknown_columns_and_wrong_types_are_refused():
    with pytest.raises(StoreError, match="no column 'speed'"):
        table_from_rows("tracks", [{"speed": 1}])
    with pytest.raises(StoreError, match="frames"):
        table_from_rows("frames", [{"frame": "first"}])


def test_read_all_is_in_log_order_and_may_be_empty(store):
    store.write("logs", "log-0", _logs("log-0"), "f")
    assert store.read_all("logs", ["log_id"])["log_id"].to_pylist() == ["log-0", "log-1"]
    assert store.read_all("tracks").num_rows == 0


def test_store_is_picklable(store):
    assert pickle.loads(pickle.dumps(store)) == store
