using DeepSeekOps.Contracts.Worker.V1;

namespace DeepSeekOps.Worker.Agent;

/// <summary>
/// What the control plane's door takes (WorkerMapping there), kept here, so that one odd report of a rank does not keep all later ones
/// from being taken. A rank is asked for nothing; what is too much loses its end.
/// </summary>
internal static class ReportLimits
{
    private const int NoteLength = 4_096;
    private const int NameLength = 128;
    private const int Series = 100;
    private const double DaySeconds = 86_400;

    public static void Fit(RankReport report) => report.Match(
        none: () => true,
        // The agent's own, or bounded by whoever writes them.
        hello: _ => true, ready: _ => true, progress: _ => true, pulse: _ => true, done: _ => true, failed: _ => true, leftGang: _ => true,
        prepared: prepared => (prepared.Problem = Short(prepared.Problem, NoteLength)).Length >= 0,
        sample: Fit,
        evaluation: evaluation => (evaluation.Name = Name(evaluation.Name)).Length > 0,
        note: note => (note.Text = Short(note.Text, NoteLength)).Length > 0,
        refused: refused => (refused.Reason = Short(refused.Reason, NoteLength)).Length > 0,
        checkpoint: _ => true, expertLoad: _ => true, resumed: _ => true, trace: _ => true, stored: _ => true,
        part: part => (part.What = Name(part.What)).Length > 0,
        reference: _ => true, collectives: _ => true, bench: _ => true, forming: _ => true);

    private static bool Fit(StepSample sample)
    {
        // Of a time that is none nothing can be reckoned; 0 is what is left out of every mean.
        sample.StepSeconds = sample.StepSeconds is >= 0 and <= DaySeconds ? sample.StepSeconds : 0;
        sample.Phase = Short(sample.Phase, NameLength);
        var extra = sample.Extra.ToArray();
        if (extra.Length > Series || extra.Any(e => e.Key != Name(e.Key)))
        {
            sample.Extra.Clear();
            foreach (var (name, value) in extra.Take(Series))
            {
                sample.Extra[Name(name)] = value;
            }
        }

        return true;
    }

    private static string Name(string text)
    {
        string name = string.Concat(text.Select(c => char.IsControl(c) ? ' ' : c));
        return name.Length is > 0 and <= NameLength ? name : name.Length == 0 ? "unnamed" : name[..NameLength];
    }

    private static string Short(string text, int most) => text.Length <= most ? text : $"{text[..(most - 1)]}…";
}
