using System.Data.Common;

namespace DeepSeekOps.ControlPlane.Storage;

internal static class DbCommandParameters
{
    /// <summary>Adds a named parameter; the call can be chained.</summary>
    public static DbCommand Add(this DbCommand command, string name, object value)
    {
        var parameter = command.CreateParameter();
        parameter.ParameterName = name;
        parameter.Value = value;
        command.Parameters.Add(parameter);
        return command;
    }
}
