"""Words that both forms of the card use: what columns mean, how splits came about, the limits."""

from __future__ import annotations

from corpus.store.manifest import Draft

LIMITS = (
    "Labels rest on the verdicts known when the snapshot was made; detections settle over weeks, "
    "engines copy each other, and a late verdict changes the label in a later snapshot only.",
    "Families are names that tools propose, with a confidence; they are not ground truth.",
    "First-seen is what manifests and reports state. Where nobody states it, a sample is placed by "
    "the ratio split, which cannot keep the future out of the training set.",
    "Groups find near-duplicates by TLSH and import hash alone; repacked variants of one program "
    "may lie in several groups, and so on both sides of a split.",
    "The sources decide what is in the corpus: shares of classes, families and file types are not "
    "those of the wild.",
)

TABLE_WORDS = {
    "samples": "Executables, one row for each sha256",
    "labels": "Labels resolved from all verdicts of a sample, with all earlier labels",
    "groups": "Near-duplicate groups by TLSH and import hash",
    "splits": "The split of each sample",
    "verdicts": "Evidence: who said what about a sample, and when",
    "failures": "Samples that a service could not deal with, with the reason",
    "merges": "Groups that grew together",
    "rejects": "Files, and rows of manifests and verdict files, that were not taken, with the reason",
    "seen_files": "Source files already seen",
}

COLUMNS = {
    "sha256": "SHA-256 of the executable, 64 hexadecimal digits",
    "md5": "MD5 of the executable",
    "sha1": "SHA-1 of the executable",
    "size": "Size in bytes",
    "file_type": "pe or elf, found by content",
    "arch": "Processor architecture, where it is known",
    "tlsh": "TLSH, a locality-sensitive hash: 72 characters, null for files too small or too uniform",
    "imphash": "MD5 of the normalised import table of a PE file",
    "first_seen": "Earliest time the file is known to have been seen, UTC; null if nobody says",
    "source": "URL of the source it was found under",
    "location": "File it was found in, with ::member for each archive around it",
    "tags": "Tags of the manifest it came with",
    "blob_sha256": "SHA-256 of the stored, compressed bytes",
    "blob_size": "Size in bytes of the stored, compressed bytes",
    "verdict_id": "SHA-256 of the verdict's content",
    "verdict": "malicious, benign or unknown",
    "reporter": "Who gave the verdict",
    "reported_at": "When the verdict was given, UTC",
    "confidence": "Confidence from 0 to 1",
    "family": "Name of the malware family, if one is proposed",
    "family_confidence": "Confidence of the family's name from 0 to 1",
    "source_kind": "Kind of source the verdict was read from: manifest or virustotal",
    "detections": "Engines that detected it; correlated engines count once",
    "engines": "Engines that answered",
    "file": "Verdict file it was read from",
    "row": "Row of that file; the first is 1",
    "label": "malicious, benign or unknown",
    "labels.reason": "Who or what decided the label, or why it is unknown",
    "provisional": "Whether the report came so early that it will be read again",
    "verdict_ids": "Verdicts that the label rests on",
    "resolved_at": "When the label was resolved, UTC",
    "policy": "Digest of the label policy",
    "group_id": "Group of near-duplicates; stable over snapshots",
    "groups.reason": "What made the sample a member: new, tlsh, imphash or merge",
    "neighbour": "SHA-256 of the member that linked it to the group",
    "distance": "TLSH distance to that member",
    "split": "train, validation, test or excluded",
    "splits.reason": "What placed the sample: time, ratio, group or bridge",
    "service": "Service that failed",
    "feature_set": "Feature set that could not be extracted",
    "failures.reason": "timeout, memory, crash, error or empty",
    "detail": "What happened, in words",
    "elapsed_s": "Seconds until it failed",
    "peak_memory_bytes": "Most memory it used, in bytes",
    "vector": "Feature vector",
    "vector_sha256": "SHA-256 of the vector's little-endian float32 bytes",
    "raw": "Raw features as JSON",
    "update_id": "Update that added the row",
    "sequence": "Number of the snapshot that added the row",
}


def describe_splits(manifest: Draft) -> str:
    """How samples were split, and plainly where dates were missing."""
    splits = manifest.get("splits") or {}
    method = splits.get("method")
    if method is None:
        return "How samples were split is not recorded."
    ratio = splits.get("ratio")
    shares = " / ".join(f"{share:.0%}" for share in ratio) if ratio else "a fixed ratio"
    undated = splits.get("undated") or 0
    by_time = (
        "Split by first-seen time: "
        f"validation from {splits.get('validation_from') or 'no date'}, "
        f"test from {splits.get('test_from') or 'no date'}."
    )
    if method == "ratio":
        return (
            "First-seen times are missing, or too few or too close to each other, so this is no "
            f"split by time: whole groups were drawn into train / validation / test by {shares}."
        )
    if undated:
        return (
            f"{by_time} {undated} samples have no first-seen time: they were drawn by {shares}, "
            "which does not keep the future out of the training set."
        )
    return by_time
