"""The services of an update, one package a stage, in the order data flows; no stage imports another."""
