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

    public static void Fit(RankReport report)
    {
        switch (report.KindCase)
        {
            case RankReport.KindOneofCase.Sample:
                Fit(report.Sample);
                break;
            case RankReport.KindOneofCase.Evaluation:
                report.Evaluation.Name = Name(report.Evaluation.Name);
                break;
            case RankReport.KindOneofCase.Note:
                report.Note.Text = Short(report.Note.Text, NoteLength);
                break;
            case RankReport.KindOneofCase.Refused:
                report.Refused.Reason = Short(report.Refused.Reason, NoteLength);
                break;
            default:
                break;
        }
    }

    private static void Fit(StepSample sample)
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
    }

    private static string Name(string text)
    {
        string name = string.Concat(text.Select(c => char.IsControl(c) ? ' ' : c));
        return name.Length is > 0 and <= NameLength ? name : name.Length == 0 ? "unnamed" : name[..NameLength];
    }

    private static string Short(string text, int most) => text.Length <= most ? text : $"{text[..(most - 1)]}…";
}
