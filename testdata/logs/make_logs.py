#!/usr/bin/env python3
"""Writes the logs of this folder, each by the program that its name begins with.

Needs pandas, openpyxl, polars, numpy and h5py, and the programs sqlite3, awk, perl and node. All hold the same
motion, or two of it, with numbers that are exact in binary: row t has x = t^2 / 2, v = 3 - t, u = 1 - t / 4.
"""
import csv
import datetime
import pathlib
import subprocess

import h5py
import numpy as np
import openpyxl
import pandas as pd
import polars as pl

FOLDER = pathlib.Path(__file__).resolve().parent
T = 6
t = np.arange(T)
x, v, u = t * t / 2, 3.0 - t, 1 - t / 4
START = "2024-05-17 09:30:00"


def frame(**more):
    return pd.DataFrame({**more, "x": x, "v": v, "u": u})


def with_pandas():
    def write(name, table, **options):
        table.to_csv(FOLDER / f"pandas_{name}", **options)

    write("index.csv", frame(time=t / 4))
    write("dates.csv", frame().set_index(pd.date_range(START, periods=T, freq="50ms", name="timestamp")))
    write("last_action.csv", frame().assign(u=np.append(u[:-1], np.nan)), index=False)
    write("decimal_commas.csv", frame(), index=False, sep=";", decimal=",")
    write("all_quoted.csv", pd.concat([frame(episode="run A"), frame(episode="run B")]), index=False,
          quoting=csv.QUOTE_ALL)
    two = frame()
    two.columns = pd.MultiIndex.from_tuples([("x", "m"), ("v", "m/s"), ("u", "N")])
    write("units_row.csv", two, index=False)
    write("tabs.tsv", frame(done=[False, False, True, False, False, True]), index=False, sep="\t")
    write("two_runs.csv", pd.concat([frame(time=t / 4), frame(time=t / 4)]), index=False)
    write("lost_rows.csv", frame(frame=t).drop(index=2), index=False)
    write("next.csv", frame(next_x=(t + 1) ** 2 / 2, next_v=2.0 - t), index=False)
    write("bare_clock.csv", frame(t=250 * t, reward=t), index=False)
    write("commas_twice.csv", frame(), index=False, decimal=",")
    write("utf16.csv", frame(), index=False, encoding="utf-16")
    write("uneven.csv", frame(time=[0, 0.25, 0.5, 0.875, 1.0, 1.25]), index=False)
    write("same_time.csv", frame(time=[0, 0.25, 0.25, 0.5, 0.75, 1.0]), index=False)
    write("hole.csv", frame().assign(v=np.where(t == 3, np.nan, v)), index=False)


def with_openpyxl():
    book = openpyxl.Workbook()
    for row in [["x", "v", "u"], *zip(x.tolist(), v.tolist(), u.tolist())]:
        book.active.append(list(row))
    book.save(FOLDER / "openpyxl_sheet.xlsx")


def with_polars():
    table = pl.DataFrame({"datetime": [datetime.datetime.fromisoformat(START) + i * datetime.timedelta(milliseconds=20)
                                       for i in range(T)], "x": x, "v": v, "u": [*u[:-1], None]})
    table.write_csv(FOLDER / "polars_nulls.csv")
    pl.DataFrame({"step": [*range(T), *range(T)], "x": [*x, *x], "v": [*v, *v], "u": [*u, *u]}).write_csv(
        FOLDER / "polars_steps.csv", include_bom=True, line_terminator="\r\n")


def with_numpy():
    rows = np.stack([x, v, u], axis=1)
    np.savetxt(FOLDER / "numpy_blanks.txt", rows, header="a cart on its rail\nx v u")
    np.savetxt(FOLDER / "numpy_units.csv", np.column_stack([20 * t, 1000 * x, v, u]), delimiter=",", fmt="%.6g",
               header="time [ms],x [mm],v (m/s),u [N]")
    observations, actions = rows[:, :2], rows[:-1, 2:]
    np.savez(FOLDER / "numpy_times.npz", observations=observations, actions=actions, time=t / 4)
    np.savez(FOLDER / "numpy_dictionary.npz", **{"observations/cart/x": x, "observations/v": v[:, None],
                                                  "actions/force": actions})
    np.savez_compressed(FOLDER / "numpy_own_names.npz", q=observations.astype(np.float32), tau=actions[:, 0])
    np.savez(FOLDER / "numpy_uneven.npz", obs=rows[:, :1], action=u, time=np.array([0, 1, 2, 4, 5, 6]) / 4)
    np.save(FOLDER / "numpy_single.npy", rows)


def with_h5py():
    with h5py.File(FOLDER / "h5py_minari.hdf5", "w") as file:
        for episode in range(2):
            group = file.create_group(f"episode_{episode}")
            space = group.create_group("observations")
            space["achieved_goal"] = np.stack([x, v], axis=1) + episode
            space["arm/angle"] = u
            group["actions"] = u[:-1, None]
            group["rewards"] = np.zeros(T - 1)
            group["terminations"] = np.arange(T - 1) == T - 2
            group["infos/success"] = np.zeros(T, dtype=bool)
    with h5py.File(FOLDER / "h5py_matrices.hdf5", "w") as file:
        turn = np.stack([np.stack([x, -v], 1), np.stack([v, x], 1)], 1)  # [T x 2 x 2]
        file["observations/rotation"] = turn
        file["actions"] = u
    with h5py.File(FOLDER / "h5py_fast.h5", "w") as file:
        file["obs"] = np.stack([x, v], axis=1)
        file["action"] = u
        file["times"] = t / 4
    with h5py.File(FOLDER / "h5py_text.h5", "w") as file:
        file["observations/mission"] = np.array(["go"] * T, dtype=h5py.string_dtype())
        file["actions"] = u


def with_csv_module():
    with open(FOLDER / "csv_module_excel.csv", "w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, dialect="excel", delimiter=";")
        writer.writerow(["Zeit [ms]", "x [mm]", "Winkel [°]", "u [N]"])
        for i in range(T):
            writer.writerow([str(number).replace(".", ",") for number in (100.5 * i, 1000 * x[i], 90 * v[i], u[i])])


def with_programs():
    table = "\n".join(f"{i},{x[i]},{v[i]},{u[i]}" for i in range(T))
    rows = ";".join(f"insert into log values({i},{x[i]},{v[i]},{u[i]},'a ''b'', \"c\"')" for i in range(T))
    sqlite = "create table log(idx integer, x real, v real, u real, note text);" + rows + ";\n"
    for name, mode in (("quotes.csv", ".mode csv\n"), ("semicolons.csv", ".mode list\n.separator ;\n")):
        text = subprocess.run(["sqlite3"], input=sqlite + ".headers on\n" + mode + "select * from log;\n",
                              check=True, capture_output=True, text=True).stdout
        (FOLDER / f"sqlite3_{name}").write_text(text, newline="\n")

    def run(name, command):
        text = subprocess.run(command, input=table, check=True, capture_output=True, text=True).stdout
        (FOLDER / name).write_text(text, newline="")

    run("awk_blanks.txt", ["awk", "-F,", 'BEGIN { print "# t in s"; print "t [s]   x [m]  v [m/s] u [N]" } '
                           'NR == 4 { print "# a pause" } { printf "%7.2f %8.3f %8.3f %7.2f\\n", $1 / 10, $2, $3, $4 }'])
    run("perl_ros.csv", ["perl", "-F,", "-lane", "BEGIN { print '%time,field.pose.x,field.twist.x,field.force' } "
                         "printf \"%d%09d,%s,%s,%s\\n\", 1715938200, $F[0] * 20000000, @F[1, 2, 3]"])
    run("perl_matlab.csv", ["perl", "-F,", "-lane", "BEGIN { print 'Time,pos(1),pos(2),motor' } "
                            "printf \"%.1f,%s,%s,%s\\r\\n\", $F[0] / 10, @F[1, 2, 3]"])
    run("node_iso.csv", ["node", "-e", r"""
        const rows = require('fs').readFileSync(0, 'utf8').split('\n').map(row => row.split(','));
        console.log('"timestamp", "x", "v", "action"');
        for (const [i, ...rest] of rows)
          console.log([`"${new Date(1715938200000 + 40 * i).toISOString()}"`, ...rest].join(', '));"""])


if __name__ == "__main__":
    with_pandas()
    with_openpyxl()
    with_polars()
    with_numpy()
    with_h5py()
    with_csv_module()
    with_programs()
