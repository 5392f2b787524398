using System.Collections.Immutable;
using System.Globalization;
using DeepSeekOps.ControlPlane.Storage.Series;

namespace DeepSeekOps.ControlPlane.Api.Series;

/// <summary>A parameter that is not right, and what to write instead.</summary>
public sealed record ParameterProblem(string Field, string Value, string Fix);

/// <summary>Parses /series parameters once and reports all problems at once.</summary>
internal sealed class SeriesParameters(IQueryCollection query)
{
    private const int TextMax = 200;
    private const int NamesMax = 64;
    private const int PxMax = 8192;
    private const double SmoothMax = 0.999;
    private const int SparksMax = 200;
    private const int SparkPxMax = 512;

    private readonly ImmutableArray<ParameterProblem>.Builder problems = ImmutableArray.CreateBuilder<ParameterProblem>();

    public static (SeriesQuery? Query, ImmutableArray<ParameterProblem> Problems) Buckets(IQueryCollection query)
    {
        var parameters = new SeriesParameters(query);
        parameters.KnownOnly("run", "stage", "names", "from", "to", "px", "x", "scale", "smooth");
        string x = parameters.OneOf("x", "step", "tokens", "time");
        string scale = parameters.OneOf("scale", "lin", "log");
        var parsed = new SeriesQuery(
            parameters.Text("run"), parameters.Text("stage"), parameters.Names(required: true), parameters.Number("from"),
            parameters.Number("to"),
            (int)(parameters.Number("px", 1, PxMax, whole: true) ?? 600), Enum.Parse<SeriesAxis>(x, ignoreCase: true), scale == "log",
            parameters.Number("smooth", 0, SmoothMax) ?? 0);
        if (parsed is { LogX: true, Axis: SeriesAxis.Time })
        {
            parameters.Problem("scale", "log",
                "write scale=lin with x=time, or x=step or x=tokens with scale=log: a date has no logarithm");
        }

        if (parsed is { LogX: true, From: <= 0 })
        {
            parameters.Problem("from", query["from"].ToString(), "write a number above 0, or leave it out: a logarithmic axis has no 0");
        }

        if (parsed.From >= parsed.To)
        {
            parameters.Problem("from", query["from"].ToString(), $"write a number below to={query["to"]}");
        }

        return parameters.Answer(parsed);
    }

    /// <summary>"of=run/stage,run/stage": as many as a page of the list has rows.</summary>
    public static (ImmutableArray<(string Run, string Stage)> Stages, string Name, int Px,
        ImmutableArray<ParameterProblem> Problems) Sparks(IQueryCollection query)
    {
        var parameters = new SeriesParameters(query);
        parameters.KnownOnly("of", "name", "px");
        string[][] stages =
            [.. query["of"].ToString().Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Distinct()
            .Select(text => text.Split('/'))];
        if (stages.Length is 0 or > SparksMax || stages.Any(parts => parts.Length != 2 || parts.Any(part => part.Length is 0 or > TextMax)))
        {
            parameters.Problem("of", query["of"].ToString(), $"write 1 to {SparksMax} stages as RUN/STAGE with commas between");
        }

        return ([.. stages.Where(parts => parts.Length == 2).Select(parts => (parts[0], parts[1]))], parameters.Text("name"),
            (int)(parameters.Number("px", 1, SparkPxMax, whole: true) ?? 96), parameters.problems.ToImmutable());
    }

    public static (SeriesQuery? Query, ImmutableArray<ParameterProblem> Problems) Export(IQueryCollection query)
    {
        var parameters = new SeriesParameters(query);
        parameters.KnownOnly("run", "stage", "names");
        return parameters.Answer(new SeriesQuery(
            parameters.Text("run"), parameters.Text("stage"), parameters.Names(required: false), null, null, 1, SeriesAxis.Step, false, 0));
    }

    public static (SeriesQuery? Query, ImmutableArray<ParameterProblem> Problems) Live(IQueryCollection query)
    {
        var parameters = new SeriesParameters(query);
        parameters.KnownOnly("run");
        return parameters.Answer(new SeriesQuery(parameters.Text("run"), "", [], null, null, 1, SeriesAxis.Step, false, 0));
    }

    private (SeriesQuery? Query, ImmutableArray<ParameterProblem> Problems) Answer(SeriesQuery parsed) =>
        problems.Count == 0 ? (parsed, []) : (null, problems.ToImmutable());

    private void Problem(string field, string value, string fix) => problems.Add(new ParameterProblem(field, value, fix));

    private void KnownOnly(params string[] known)
    {
        foreach (var (key, value) in query.Where(q => !known.Contains(q.Key, StringComparer.Ordinal)))
        {
            Problem(key, value.ToString(), $"leave it out; known are {string.Join(", ", known)}");
        }

        foreach (var (key, value) in query.Where(q => q.Value.Count > 1))
        {
            Problem(key, value.ToString(), "write it once");
        }
    }

    private string Text(string field)
    {
        string text = query[field].ToString();
        if (text.Length is 0 or > TextMax)
        {
            Problem(field, text, $"write the {field}'s name, 1 to {TextMax} characters");
        }

        return text;
    }

    private ImmutableArray<string> Names(bool required)
    {
        string text = query["names"].ToString();
        ImmutableArray<string> names =
            [.. text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Distinct()];
        if (names.Length > NamesMax || (required && names.IsEmpty))
        {
            Problem("names", text, $"write 1 to {NamesMax} names of series with commas between, such as names=loss,grad_norm");
        }

        return names;
    }

    private string OneOf(string field, params string[] values)
    {
        string text = query[field].ToString();
        if (text.Length > 0 && !values.Contains(text, StringComparer.Ordinal))
        {
            Problem(field, text, $"write one of {string.Join(", ", values)}");
        }

        return values.Contains(text, StringComparer.Ordinal) ? text : values[0];
    }

    private double? Number(string field, double min = double.MinValue, double max = double.MaxValue, bool whole = false)
    {
        string text = query[field].ToString();
        if (text.Length == 0)
        {
            return null;
        }

        if (double.TryParse(text, CultureInfo.InvariantCulture, out double value)
            && value >= min && value <= max && (!whole || value == Math.Floor(value)))
        {
            return value;
        }

        string range = min > double.MinValue ? string.Create(CultureInfo.InvariantCulture, $" from {min} to {max}")
            : "";
        Problem(field, text, $"write a {(whole ? "whole " : "")}number{range}");
        return null;
    }
}
