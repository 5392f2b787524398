namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>The page's colours for light and dark, and tables that scroll by themselves on a narrow screen.</summary>
internal static class SimulationPageStyle
{
    public const string Css = """
        :root{--bg:#fff;--fg:#1b1f24;--soft:#59636e;--line:#d1d9e0;--card:#f6f8fa;--accent:#3457d5;--bad:#b3261e;
        --b0:#2e7d32;--b1:#b3261e;--b2:#3457d5;--b3:#8e24aa;--b4:#c2570c;--b5:#00838f;--b6:#a0790b;--b7:#9aa4af;--b8:#5d4037;--b9:#ad1457}
        @media (prefers-color-scheme:dark){:root{--bg:#0f1216;--fg:#e6e9ee;--soft:#9aa4b0;--line:#2f3740;--card:#181d23;--accent:#8ea6ff;--bad:#ff8a80;
        --b0:#66bb6a;--b1:#ff8a80;--b2:#8ea6ff;--b3:#ce93d8;--b4:#ffb074;--b5:#4dd0e1;--b6:#e6c34a;--b7:#66717d;--b8:#bcaaa4;--b9:#f06292}}
        *{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,sans-serif}
        main{max-width:1200px;margin:0 auto;padding:24px 16px}h1{font-size:1.6rem;margin:0}h2{font-size:1.15rem;margin:32px 0 8px}
        header p,footer p,.caption,section>p{color:var(--soft);margin:4px 0}
        .badge{font-size:.8rem;font-weight:600;vertical-align:middle;padding:2px 10px;border:1px solid var(--accent);
        border-radius:12px;color:var(--accent)}.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(140px,1fr));gap:12px;margin-top:20px}
        .tiles div{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:12px}.tiles b{display:block;font-size:1.15rem;white-space:nowrap}
        .tiles span{color:var(--soft);font-size:.85rem}.bar{display:flex;height:26px;border-radius:6px;overflow:hidden;background:var(--card);margin-bottom:10px}
        .scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
        th,td{text-align:left;padding:5px 12px 5px 0;border-bottom:1px solid var(--line);vertical-align:top}th{color:var(--soft);font-weight:600;font-size:.85rem}
        .n{text-align:right;white-space:nowrap}.sum td{font-weight:600}td small{display:block;color:var(--soft)}td:has(small),td.what{min-width:30ch}
        td:first-child{white-space:nowrap}td:has(small){white-space:normal}td i{display:inline-block;width:10px;height:10px;
        border-radius:2px;margin-right:8px}.wide{min-width:140px;width:22%}.meter{background:var(--card);border-radius:4px;height:10px;margin-top:7px}
        .meter span{display:block;height:10px;border-radius:4px;background:var(--accent)}svg{width:100%;height:70px;display:block}
        svg line{stroke-width:1.5;vector-effect:non-scaling-stroke}svg .axis{stroke:var(--soft)}svg .info{stroke:var(--accent)}svg .bad{stroke:var(--bad)}
        p.axis{display:flex;justify-content:space-between;font-size:.85rem}summary{cursor:pointer;padding:6px 0}footer{margin-top:32px;font-size:.85rem}
        .b0{background:var(--b0)}.b1{background:var(--b1)}.b2{background:var(--b2)}.b3{background:var(--b3)}.b4{background:var(--b4)}
        .b5{background:var(--b5)}.b6{background:var(--b6)}.b7{background:var(--b7)}.b8{background:var(--b8)}.b9{background:var(--b9)}
        """;
}
